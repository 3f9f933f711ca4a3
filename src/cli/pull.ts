import { BoxRunClient } from "../index.js";
import { megabytes, print } from "./output.js";

const CLEAR_LINE = "\r\x1b[K";

/** Fetches a whole image. Reports it on stderr, with the progress if that is a terminal. */
export async function pullCommand({ image }: { image: string }): Promise<number> {
  await using client = new BoxRunClient({ backend: "local" });
  const { isTTY } = process.stderr;
  let shown = "";
  let loaded = 0;
  const show = (text: string) => {
    if (isTTY && text !== shown) process.stderr.write(`${CLEAR_LINE}${text}`);
    shown = text;
  };
  try {
    await client.pull(image, {
      onProgress: ({ loadedBytes, totalBytes }) => {
        loaded = loadedBytes;
        const total = totalBytes === null ? "" : ` of ${megabytes(totalBytes)}`;
        show(`${image}: ${megabytes(loadedBytes)}${total} MB`);
      },
    });
  } finally {
    if (shown) show("");
  }
  await print(process.stderr, `boxrun: downloaded ${image}, ${megabytes(loaded)} MB\n`);
  return 0;
}
