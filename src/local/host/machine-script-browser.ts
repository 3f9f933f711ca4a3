import { BoxRunError } from "../../backend/errors.js";
import { deferred } from "../../util/deferred.js";
import { COPY_HINT } from "../assets/asset-places.js";
import { browserAssetSource } from "../assets/asset-source-browser.js";
import { loadVerified, type VerifiedFile } from "../assets/assets.js";
import type { AssetManifest } from "../assets/manifest.js";
import type { FromMachine, MachineConfig } from "../machine/messages.js";

/** Receiver of what a Worker says. */
export interface WorkerListener {
  /** Ends a Worker that is starting. One that has started is its owner's to end. */
  readonly signal: AbortSignal;
  onMessage(message: FromMachine): void;
  onFailure(error: Error): void;
}

/**
 * Starts the Worker of a machine with the script that lies among its assets. It is started from its URL, as policies permit by `worker-src 'self'`. Where that fails (there is no network,
 * say), and where it lies on another origin, from which no Worker may start, it is fetched and verified like all assets, and started from a Blob.
 *
 * @throws {BoxRunError} IMAGE_PULL_FAILED when there is no such script; UNSUPPORTED when the page's policy refuses it
 */
export async function startMachineWorker(config: MachineConfig, listener: WorkerListener): Promise<Worker> {
  const script = scriptOf(config);
  const source = browserAssetSource(config.assets);
  const url = new URL(script.file, config.assets);
  const policy = watchPolicy();
  try {
    if (url.origin === location.origin) {
      const started = await startFrom(url.href, listener);
      if (!(started instanceof Error)) {
        // For a start without a network. The browser's own cache has it by now.
        loadVerified(source, script).catch(() => {});
        return started;
      }
    }
    const bytes = await loadVerified(source, script, { signal: listener.signal });
    const copy = URL.createObjectURL(
      new Blob([bytes as Uint8Array<ArrayBuffer>], { type: "text/javascript" }),
    );
    const started = await startFrom(copy, listener).finally(() => URL.revokeObjectURL(copy));
    if (!(started instanceof Error)) return started;
    throw policy.refusalOf(url) ?? started;
  } finally {
    policy.end();
  }
}

/** Returns the script of the Workers that a manifest names. */
export function workerScript({ worker }: AssetManifest): VerifiedFile | undefined {
  return worker && { ...worker, rawBytes: worker.bytes, isPlain: true };
}

function scriptOf({ manifest, assets }: MachineConfig): VerifiedFile {
  const script = workerScript(manifest);
  if (script) return script;
  throw new BoxRunError(
    "IMAGE_PULL_FAILED",
    `manifest.json at ${assets} names no script for Workers: it is of an older version of boxrun`,
    { hint: COPY_HINT },
  );
}

/** Starts a Worker from a URL. Resolves to it when its script has run, or to the reason why it could not. Rejects when nothing may be started. */
async function startFrom(
  url: string,
  { onMessage, onFailure, signal }: WorkerListener,
): Promise<Worker | Error> {
  signal.throwIfAborted();
  const worker = new Worker(url, { type: "module", name: "boxrun-machine" });
  const outcome = deferred<Worker | Error>();
  let runs = false;
  worker.onmessage = ({ data }: MessageEvent<FromMachine>) => {
    if (runs) return onMessage(data);
    runs = true;
    outcome.resolve(worker);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    const error = new Error(event.message || "the machine's Worker could not be started");
    if (runs) onFailure(error);
    else outcome.resolve(error);
  };
  const abort = () => outcome.reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await outcome.promise;
  } finally {
    signal.removeEventListener("abort", abort);
    if (!runs) worker.terminate();
  }
}

/** Listens for what the page's Content-Security-Policy refuses. */
function watchPolicy() {
  let refused: SecurityPolicyViolationEvent | undefined;
  const onViolation = (event: SecurityPolicyViolationEvent) => {
    if (/^(worker|child|script)-src/.test(event.effectiveDirective)) refused = event;
  };
  const target = globalThis.document ?? globalThis;
  target.addEventListener("securitypolicyviolation", onViolation as EventListener);
  return {
    /** Returns the error for the script at `url`, if the policy refused something. */
    refusalOf: (url: URL) =>
      refused &&
      new BoxRunError(
        "UNSUPPORTED",
        `the page's Content-Security-Policy refuses the machine's Worker, ${url.href}: its directive ${refused.effectiveDirective} does not permit it`,
        {
          hint:
            url.origin === location.origin
              ? "it needs worker-src 'self' and script-src 'wasm-unsafe-eval'"
              : "it needs worker-src blob: for assets on another origin, and script-src 'wasm-unsafe-eval'",
        },
      ),
    end: () => target.removeEventListener("securitypolicyviolation", onViolation as EventListener),
  };
}
