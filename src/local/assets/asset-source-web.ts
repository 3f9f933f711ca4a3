import { refusedPermission } from "../../backend/errors.js";
import { concatBytes } from "../../util/bytes.js";
import { retryAfterMs } from "../../util/retry-after.js";
import { pause } from "../../util/timer.js";
import { type AssetSource, PassingFailure, READ_LIMIT_MS, type ReadOptions } from "./asset-source.js";

/** Limit far above any manifest: the length of a file that changes is not known. */
const MAX_LATEST_BYTES = 4 * 2 ** 20;

/** A cache for files from the network. If it fails, the file counts as absent, since caching is optional. */
export interface AssetCache {
  get(file: string): Promise<Uint8Array | undefined>;
  has(file: string): Promise<boolean>;
  put(file: string, bytes: Uint8Array): Promise<void>;
  /** Removes files of other versions: all that `keep` returns false for. */
  prune(keep: (file: string) => boolean): Promise<void>;
}

/** Time without data after which a server is given up, and asked again. */
const STALL_MS = 8_000;
const TRIES = 4;
const FIRST_DELAY_MS = 150;
const MAX_DELAY_MS = 5_000;
/** Time for a server to say that it is there, when it has not answered otherwise. */
const PROBE_MS = 3_000;
/** Time for the manifest when an older one is in the cache. */
const LATEST_DEADLINE_MS = 4_000;

/** Creates a source for assets on a web server, below a URL that ends in "/". They are kept in `cache` if there is one. */
export function webAssetSource(
  location: string,
  gunzip: AssetSource["gunzip"],
  cache: AssetCache | string,
  inflated?: AssetSource["inflated"],
): AssetSource {
  const kept = typeof cache === "string" ? undefined : cache;
  const keep = (file: string, bytes: Uint8Array) => void kept?.put(file, bytes).catch(() => {});

  return {
    location,
    keeps: typeof cache === "string" ? cache : true,
    gunzip,
    ...(inflated && { inflated }),
    isHere: async (file) => (await kept?.has(file).catch(() => false)) ?? false,

    read: async (file, options = {}) => {
      const cached = options.fresh ? undefined : await kept?.get(file).catch(() => undefined);
      if (cached) {
        options.onBytes?.(cached.byteLength);
        return cached;
      }
      const leftMs = (options.until ?? performance.now() + READ_LIMIT_MS) - performance.now();
      const deadline = AbortSignal.timeout(Math.max(0, Math.round(leftMs)));
      const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
      const bytes = await fetchWithRetries(new URL(file, location), { ...options, signal });
      keep(file, bytes);
      return bytes;
    },

    readLatest: async (file, isRight) => {
      const cached = await kept?.get(file).catch(() => undefined);
      const limit = AbortSignal.timeout(cached ? LATEST_DEADLINE_MS : READ_LIMIT_MS);
      try {
        const tries = cached ? 1 : TRIES;
        const bytes = await fetchWithRetries(new URL(file, location), {
          signal: limit,
          latest: true,
          bytes: MAX_LATEST_BYTES,
          tries,
        });
        // A server that is not the usual one, as in a hotel, answers with a page of its own.
        if (!isRight(bytes)) return cached ?? bytes;
        if (!cached || !sameBytes(cached, bytes)) {
          keep(file, bytes);
          // Chunks are named by their contents and shared by versions, and an image's folder may be below this one; other files belong to one version.
          await kept?.prune((other) => other === file || other.includes("/")).catch(() => {});
        }
        return bytes;
      } catch (error) {
        if (cached) return cached;
        throw error;
      }
    },
  };
}

interface FetchOptions extends ReadOptions {
  signal: AbortSignal;
  latest?: boolean;
}

/** Fetches a file with retries. Names the reason where a server on another origin does not show it. */
async function fetchWithRetries(url: URL, options: FetchOptions): Promise<Uint8Array> {
  try {
    return await tryRepeatedly(url, options);
  } catch (error) {
    if (!(error instanceof Unanswered) || !(await isThere(url, options.signal))) throw error;
    // Either the server hides the file, or what was in the way has passed.
    return fetchOnce(url, options).catch((cause) => {
      throw cause instanceof Unanswered ? hidden(url, cause) : cause;
    });
  }
}

async function tryRepeatedly(url: URL, options: FetchOptions): Promise<Uint8Array> {
  const { signal, tries = TRIES } = options;
  let last: FetchFailure | undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      if (last) await pause(delayMs(last, attempt - 1), signal);
      return await fetchOnce(url, options);
    } catch (error) {
      // Time has run out: the last error says more about the reason.
      if (signal.aborted)
        throw (signal.reason as Error)?.name === "TimeoutError" && last ? last : signal.reason;
      if (attempt === tries || !(error instanceof FetchFailure)) throw error;
      last = error;
    }
  }
}

function delayMs({ afterMs }: FetchFailure, failures: number): number {
  const backoff = FIRST_DELAY_MS * 3 ** (failures - 1) * (1 + Math.random());
  return Math.min(afterMs ?? backoff, MAX_DELAY_MS);
}

/** The error of a try that may succeed when it is repeated. */
class FetchFailure extends PassingFailure {
  constructor(
    message: string,
    options: ErrorOptions,
    /** Pause that the server asks for, if it does. */
    readonly afterMs?: number,
  ) {
    super(message, options);
  }
}

/** The error of a try that failed at once, before any answer. */
class Unanswered extends FetchFailure {}

async function fetchOnce(
  url: URL,
  { signal, fresh, latest, onBytes, bytes }: FetchOptions,
): Promise<Uint8Array> {
  const stalled = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let refused: Error | undefined;
  let answered = false;
  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stalled.abort(new Error(`no data arrived for ${STALL_MS} ms`)), STALL_MS);
  };
  watch();
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, stalled.signal]),
      cache: fresh ? "reload" : latest ? "no-cache" : "default",
    });
    answered = true;
    const { status } = response;
    if (!response.ok) {
      await response.body?.cancel();
      const what = `${url.href} answered ${status}`;
      if (status >= 500 || status === 429 || status === 408)
        throw new FetchFailure(what, {}, retryAfterMs(response));
      refused = new Error(what);
      throw refused;
    }
    if (!response.body) return new Uint8Array(await response.arrayBuffer());
    const reader = response.body.getReader();
    const chunks: Uint8Array[] = [];
    for (let loaded = 0; ; ) {
      const { done, value } = await reader.read();
      if (done) return concatBytes(chunks);
      watch();
      onBytes?.(value.byteLength);
      chunks.push(value);
      loaded += value.byteLength;
      if (bytes === undefined || loaded <= bytes) continue;
      // This is another file, however much is to come: its hash will not match.
      await reader.cancel();
      return concatBytes(chunks);
    }
  } catch (cause) {
    if (cause === refused || cause instanceof FetchFailure) throw cause;
    const notAllowed = refusedPermission(cause);
    if (notAllowed) throw notAllowed;
    const why = stalled.signal.aborted ? (stalled.signal.reason as Error).message : (cause as Error).message;
    const Failure = answered || stalled.signal.aborted ? FetchFailure : Unanswered;
    throw new Failure(`${url.href}: ${why}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** Returns true for a server on another origin that answers at all. Browsers do not tell pages whether it hides a file or the connection was lost. */
async function isThere(url: URL, signal: AbortSignal): Promise<boolean> {
  const { location } = globalThis;
  if (location === undefined || location.origin === url.origin || signal.aborted) return false;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]);
  return fetch(url, { mode: "no-cors", method: "HEAD", signal: limit }).then(
    () => true,
    () => false,
  );
}

function hidden(url: URL, cause: unknown): Error {
  return new Error(
    `${url.href} is on another origin, which does not let pages of ${globalThis.location.origin} read it: it sends no access-control-allow-origin`,
    { cause },
  );
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);
}
