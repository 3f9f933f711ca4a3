import { invalid } from "../../backend/errors.js";
import { shown } from "../../backend/validate.js";
import { deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { COPY_HINT, givenPlace, pagePlaces } from "../assets/asset-places.js";
import { browserAssetSource } from "../assets/asset-source-browser.js";
import type { MachineConfig, ToMachine } from "../machine/messages.js";
import { browserStore } from "../store/store-browser.js";
import type { Host } from "./host.js";
import { startMachineWorker, workerScript } from "./machine-script-browser.js";

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
  assetPlaces: (given) =>
    given === undefined ? pagePlaces(import.meta.url, baseUrl()) : givenPlace(given, resolved, COPY_HINT),
  openSource: browserAssetSource,
  workerScript,
  openStore: (state) => browserStore(state ?? "boxrun"),
  watchHidden: (onChange) => {
    const { document } = globalThis;
    const tell = () => onChange(document.visibilityState === "hidden");
    document?.addEventListener("visibilitychange", tell);
    if (document) tell();
    return () => document?.removeEventListener("visibilitychange", tell);
  },
  wayOut: globalThis.crypto?.subtle
    ? {
        name: "fetch",
        openFor: async (box) => {
          const { FetchDialer } = await import("../network/gateway/fetch-dialer.js");
          const { origin, protocol } = location;
          return { dialer: new FetchDialer({ ...box, origin, isSecure: protocol === "https:" }) };
        },
      }
    : {
        missing:
          "a page without https has no WebCrypto, which the TLS of its boxes needs; serve it by https or from localhost, or give local.relay",
      },
  openPreview: async (connect, port, place) => {
    const { openPreviewFrame } = await import("../../ports/preview-frame-browser.js");
    return openPreviewFrame(connect, port, place);
  },
  volumes:
    'a page has no directories of its computer; give a folder that the user picks, { source: await showDirectoryPicker() }, or memoryVolume of "boxrun/local"',
  folders: true,
  startWorker: (onMessage, onFailure) => {
    const ended = new AbortController();
    const left = deferred<void>();
    /** Messages for a Worker that is not there yet. The first that matters says where its script is. */
    const waiting: [ToMachine, ArrayBuffer[]][] = [];
    let worker: Worker | undefined;

    const begin = async (config: MachineConfig) => {
      const started = await startMachineWorker(config, {
        signal: ended.signal,
        onMessage: (message) =>
          "type" in message && message.type === "left" ? left.resolve() : onMessage(message),
        onFailure: (error) => {
          left.resolve();
          onFailure(error);
        },
      });
      worker = started;
      for (const [message, transfer] of waiting.splice(0)) started.postMessage(message, transfer);
    };
    return {
      post: (message, transfer = []) => {
        if (worker) return worker.postMessage(message, transfer);
        waiting.push([message, transfer]);
        if ("type" in message && message.type === "start")
          begin(message.config).catch((error) => ended.signal.aborted || onFailure(error));
      },
      terminate: async () => {
        ended.abort();
        if (!worker) return;
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

/** Returns the URL of the page. That of a Worker's script says little of where its page is, except for the origin. */
function baseUrl(): string {
  return globalThis.document?.baseURI ?? `${location.origin}/`;
}

function resolved(given: string): string {
  let url: URL;
  try {
    url = new URL(given, baseUrl());
  } catch {
    throw invalid(`local.assets must be a URL or "cdn", got ${shown(given)}`);
  }
  if (url.protocol !== "file:" || location.protocol === "file:") return url.href;
  throw invalid(
    `no page can read ${url.href}, a folder of the machine that bundled it`,
    'serve a copy of that folder, and name its URL: { name: "debian", assets: "/images/debian/" }',
  );
}
