import { deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { browserAssetSource } from "../assets/asset-source-browser.js";
import type { FromMachine, ToMachine } from "../machine/messages.js";
import { browserStore } from "../store/store-browser.js";
import type { Host } from "./host.js";

/** Time for a Worker to close its disk. It does that between two slices of emulation: soon, unless it hangs or the machine is very busy. */
const LEAVE_MS = 10_000;

/** Host of the local backend in browsers. */
export const browserHost: Host = {
  get description() {
    return navigator.userAgent;
  },
  get memoryMb() {
    // Rounded, and in some browsers 8 GiB at most; Firefox and Safari do not report it.
    const { deviceMemory } = navigator as { deviceMemory?: number };
    return deviceMemory === undefined ? undefined : deviceMemory * 1024;
  },
  assetsLocation: (given) => {
    const url = new URL(given ?? "../assets/", given === undefined ? import.meta.url : location.href).href;
    return url.endsWith("/") ? url : `${url}/`;
  },
  openSource: browserAssetSource,
  openStore: (state) => browserStore(state ?? "boxrun"),
  watchHidden: (onChange) => {
    const { document } = globalThis;
    const tell = () => onChange(document.visibilityState === "hidden");
    document?.addEventListener("visibilitychange", tell);
    if (document) tell();
    return () => document?.removeEventListener("visibilitychange", tell);
  },
  startWorker: (onMessage, onFailure) => {
    const worker = new Worker(workerUrl(), { type: "module", name: "boxrun-machine" });
    const left = deferred<void>();
    worker.onmessage = ({ data }: MessageEvent<FromMachine>) =>
      "type" in data && data.type === "left" ? left.resolve() : onMessage(data);
    worker.onerror = (event) => {
      event.preventDefault();
      left.resolve();
      onFailure(new Error(event.message || "the machine's Worker could not be started"));
    };
    return {
      post: (message, transfer) => worker.postMessage(message, transfer ?? []),
      terminate: async () => {
        // WebKit never closes the database of a Worker that ends while it writes, and then nobody can remove it.
        worker.postMessage({ type: "leave" } satisfies ToMachine);
        const stop = startTimer(LEAVE_MS, left.resolve);
        await left.promise.finally(stop);
        worker.terminate();
      },
      // A page ends when its user closes it.
      hold: () => {},
    };
  },
};

/**
 * Returns the URL for a Worker. Pages may only start Workers of their own origin; for a script on a CDN, the Worker starts from a script of the page's own that
 * imports it.
 */
function workerUrl(): URL | string {
  const url = new URL("./machine-worker.js", import.meta.url);
  if (url.origin === location.origin) return url;
  localScript ??= URL.createObjectURL(
    new Blob([`import ${JSON.stringify(url.href)};`], { type: "text/javascript" }),
  );
  return localScript;
}

/** Script that all Workers of the page share. It is never revoked, since nothing reports when a Worker has loaded it. */
let localScript: string | undefined;
