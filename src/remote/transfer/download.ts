import type { DownloadResult } from "../../backend/backend.js";
import { BoxRunError } from "../../backend/errors.js";
import { MODE_HEADER } from "../../contract/wire.js";
import type { Http } from "../http/http.js";

/** Downloads one file by `POST .../files/download`. A body that ends before its announced size is an error. */
export async function download(
  http: Http,
  box: string,
  path: string,
  signal: AbortSignal | undefined,
): Promise<DownloadResult> {
  const { response, body } = await http.open("download", {
    params: { box },
    json: { path },
    withinMs: http.clocks.lifecycleMs,
    ...(signal && { signal }),
  });
  const size = sizeOf(response);
  const mode = modeOf(response);
  let received = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const chunk = await body.read();
        received += chunk?.byteLength ?? 0;
        if (chunk) return controller.enqueue(chunk);
        if (size !== null && received !== size) {
          const message = `download of ${path}: got ${received} of ${size} bytes`;
          throw new BoxRunError("STREAM_INTERRUPTED", message, { retryable: true });
        }
        controller.close();
      },
      cancel: () => body.cancel(),
    },
    { highWaterMark: 0 },
  );
  return { size, stream, ...(mode !== undefined && { mode }) };
}

/** Returns the size of the file; the length of a compressed body does not say it. */
function sizeOf({ headers }: Response): number | null {
  const length = headers.get("content-length");
  return length === null || headers.has("content-encoding") ? null : Number(length);
}

/** Returns the mode of the file, which only servers of this project send. */
function modeOf({ headers }: Response): number | undefined {
  const text = headers.get(MODE_HEADER);
  return text !== null && /^[0-7]{1,4}$/.test(text) ? Number.parseInt(text, 8) : undefined;
}
