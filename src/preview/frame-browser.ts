/** Script of the frame that an application's page has on the origin of its previews. It starts the service worker, and passes that worker's messages on to the page. */
import { FILES, type FrameAnswer, HELLO } from "./messages.js";

/** Origins that may use the frame, as the page in the folder names them. */
const pages = (document.querySelector<HTMLMetaElement>('meta[name="boxrun-pages"]')?.content ?? "")
  .split(/\s+/)
  .filter(Boolean);

let isTaken = false;

addEventListener("message", ({ source, origin, data, ports: [port] }) => {
  if (source !== parent || data !== HELLO || !port || isTaken) return;
  isTaken = true;
  const answer = (message: FrameAnswer) => port.postMessage(message);
  if (!mayShow(origin))
    return answer({
      type: "failed",
      reason: `${location.origin} shows previews for other pages only, not for ${origin}: write its files again with --allow-origin ${origin}`,
    });
  start(port).then(
    () => answer({ type: "ready" }),
    (error) =>
      answer({ type: "failed", reason: `no service worker can run at ${location.origin}: ${error}` }),
  );
});

function mayShow(origin: string): boolean {
  if (pages.length > 0) return pages.includes(origin);
  const { hostname } = new URL(origin);
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "127.0.0.1";
}

async function start(port: MessagePort): Promise<void> {
  const { serviceWorker } = navigator;
  if (!serviceWorker) throw new Error("this browser has none here");
  const registration = await serviceWorker.register(FILES.worker, { scope: "./", updateViaCache: "none" });
  // Of an older version of the files, too. Without a network, the one that is there will do.
  await registration.update().catch((error) => {
    if (!registration.active) throw error;
  });
  const coming = registration.installing ?? registration.waiting;
  if (coming) await activated(coming);
  serviceWorker.addEventListener("message", ({ data, ports }) => {
    const body = (data as { body?: ArrayBuffer }).body;
    port.postMessage(data, body ? [...ports, body] : [...ports]);
  });
  serviceWorker.startMessages();
}

function activated(worker: ServiceWorker): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (worker.state === "activated") resolve();
      if (worker.state === "redundant") reject(new Error("it could not be installed"));
    };
    worker.addEventListener("statechange", look);
    look();
  });
}
