import type { BoxRunClient, ImageInfo } from "boxrun";
import { say } from "./dom.js";
import type { Progress } from "./progress.js";

/** Images of at most this size are kept without being asked for, so that the page works without a network once it has been there. */
const KEPT_UNASKED_BYTES = 16 * 2 ** 20;

/** Keeps the smallest image, unless it is large or the browser has been told to save data. */
export async function keepSmallest(client: BoxRunClient, images: readonly ImageInfo[]): Promise<void> {
  const [smallest] = images;
  const { connection } = navigator as { connection?: { saveData?: boolean } };
  if (!smallest || smallest.totalBytes > KEPT_UNASKED_BYTES || connection?.saveData) return;
  await client.pull(smallest.name);
  document.documentElement.dataset["kept"] = smallest.name;
}

/** Fetches all of an image, so that its boxes work without a network. */
export async function pullImage(client: BoxRunClient, name: string, progress: Progress): Promise<void> {
  try {
    await client.pull(name, {
      onProgress: ({ loadedBytes, totalBytes }) =>
        progress.showBytes(`Fetching ${name}`, loadedBytes, totalBytes),
    });
    say(`${name} works without a network now`);
  } finally {
    progress.hide();
  }
}

/** Keeps the page itself. Without that it still works, but not after a reload without a network. */
export function keepPage(): void {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker
    .register("worker.js")
    .then(() => navigator.serviceWorker.ready)
    .then(({ active }) => active?.postMessage("loaded"))
    .catch((error) => console.info(`no reload without a network: ${error.message}`));
}
