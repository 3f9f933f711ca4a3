import { browserAssetSource } from "./asset-source-browser.js";
import type { Host } from "./host.js";
import type { FromMachine } from "./machine/messages.js";
import { browserStore } from "./state/store-browser.js";

/** The local backend's host in browsers. */
export const browserHost: Host = {
  description: navigator.userAgent,
  assetsLocation: (given) => {
    const url = new URL(given ?? "../assets/", given === undefined ? import.meta.url : location.href).href;
    return url.endsWith("/") ? url : `${url}/`;
  },
  openSource: browserAssetSource,
  openStore: (state) => browserStore(state ?? "boxrun"),
  startWorker: (onMessage, onFailure) => {
    const worker = new Worker(new URL("./machine-worker.js", import.meta.url), {
      type: "module",
      name: "boxrun-machine",
    });
    worker.onmessage = (event: MessageEvent<FromMachine>) => onMessage(event.data);
    worker.onerror = (event) => {
      event.preventDefault();
      onFailure(new Error(event.message || "the machine's Worker could not be started"));
    };
    return {
      post: (message, transfer) => worker.postMessage(message, transfer ?? []),
      terminate: async () => worker.terminate(),
      // A page ends when its user closes it.
      hold: () => {},
    };
  },
};
