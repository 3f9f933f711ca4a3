import { BoxRunError } from "../../backend/errors.js";
import { deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { COPY_HINT } from "../assets/asset-places.js";
import { browserAssetSource } from "../assets/asset-source-browser.js";
import { loadVerified, type VerifiedFile } from "../assets/assets.js";
import type { AssetManifest } from "../assets/manifest.js";
import type { FromMachine, MachineConfig } from "../machine/messages.js";

/** Time for a Worker's script to arrive and run. A server that is slower than that is asked for it as for all assets: with retries, and an error that names the URL. */
const START_MS = 8_000;

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
      const started = await startFrom(url.href, listener, START_MS);
      if (!(started instanceof Error)) {
        // For a start without a network. The browser's own cache has it by now.
        loadVerified(source, script).catch(() => {});
        return started;
      }
    }
    // Past the browser's own cache, where this request would wait for the Worker's, which may never be answered.
    const fresh = url.origin === location.origin && !(await source.isHere(script.file));
    const bytes = await loadVerified(source, script, { signal: listener.signal, fresh });
    const copy = URL.createObjectURL(
      new Blob([bytes as Uint8Array<ArrayBuffer>], { type: "text/javascript" }),
    );
    const started = await startFrom(copy, listener).finally(() => URL.revokeObjectURL(copy));
    if (!(started instanceof Error)) return started;
    throw policy.refusalOf(url, started) ?? started;
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
  limitMs?: number,
): Promise<Worker | Error> {
  signal.throwIfAborted();
  let worker: Worker;
  try {
    worker = new Worker(url, { type: "module", name: "boxrun-machine" });
  } catch (error) {
    return error as Error;
  }
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
  const late = () => outcome.resolve(new Error(`${url} did not run within ${limitMs} ms`));
  const stopTimer = limitMs === undefined ? undefined : startTimer(limitMs, late);
  try {
    return await outcome.promise;
  } finally {
    stopTimer?.();
    signal.removeEventListener("abort", abort);
    if (!runs) worker.terminate();
  }
}

/** Listens for what the page's Content-Security-Policy refuses. */
function watchPolicy() {
  let refused: string | undefined;
  const onViolation = ({ effectiveDirective }: SecurityPolicyViolationEvent) => {
    if (/^(worker|child|script)-src|^require-trusted-types-for/.test(effectiveDirective))
      refused = effectiveDirective;
  };
  const target = globalThis.document ?? globalThis;
  target.addEventListener("securitypolicyviolation", onViolation as EventListener);
  return {
    /** Returns the error for the script at `url`, whose Worker could not be started. */
    refusalOf: (url: URL, cause: Error) => {
      const directive = refused ?? directiveOf(cause);
      return (
        directive &&
        new BoxRunError(
          "UNSUPPORTED",
          `the page's Content-Security-Policy refuses the machine's Worker, ${url.href}: its directive ${directive} does not permit it`,
          { hint: policyHint(directive, url), cause },
        )
      );
    },
    end: () => target.removeEventListener("securitypolicyviolation", onViolation as EventListener),
  };
}

/** Returns the directive that made the browser throw instead of reporting a violation. */
function directiveOf({ message }: Error): string | undefined {
  if (globalThis.origin === "null") return "sandbox";
  return /TrustedScriptURL/.test(message) ? "require-trusted-types-for" : undefined;
}

function policyHint(directive: string, url: URL): string {
  if (directive === "sandbox") return "it needs sandbox allow-scripts allow-same-origin, or none";
  if (directive === "require-trusted-types-for")
    return `leave out require-trusted-types-for 'script', or create a Trusted Types policy named "default" whose createScriptURL returns ${url.href} and blob: URLs as they are`;
  return url.origin === location.origin
    ? "it needs worker-src 'self' and script-src 'wasm-unsafe-eval'"
    : "it needs worker-src blob: for assets on another origin, and script-src 'wasm-unsafe-eval'";
}
