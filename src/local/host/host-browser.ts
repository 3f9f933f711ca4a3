import { deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { browserAssetSource } from "../assets/asset-source-browser.js";
import type { FromMachine, ToMachine } from "../machine/messages.js";
import { browserStore } from "../store/store-browser.js";
import type { Host } from "./host.js";

/** For a Worker to let go of its disk. It comes to that between two slices of emulation, soon unless it hangs or the machine is very busy. */
const LEAVE_MS = 10_000;

/** The local backend's host in browsers. */
export const browserHost: Host = {
  get description() {
    return navigator.userAgent;
  },
  get memoryMb() {
    // Rounded, and in some browsers no more than 8 GiB; Firefox and Safari do not tell.
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

/** A page may only start Workers of its own origin. One that imports from a CDN starts a script of its own that imports from there. */
function workerUrl(): URL | string {
  const url = new URL("./machine-worker.js", import.meta.url);
  if (url.origin === location.origin) return url;
  localScript ??= URL.createObjectURL(
    new Blob([`import ${JSON.stringify(url.href)};`], { type: "text/javascript" }),
  );
  return localScript;
}

/** One for all Workers of the page: each needs it until it has started, which nobody is told. */
let localScript: string | undefined;
