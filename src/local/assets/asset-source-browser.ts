import type { AssetSource } from "./asset-source.js";
import { type AssetCache, webAssetSource } from "./asset-source-web.js";

const CACHE_NAME = "boxrun-assets";

/** Creates a source for assets on a web server, below a URL that ends in "/". They are kept in the browser's caches. */
export function browserAssetSource(location: string): AssetSource {
  if (!("caches" in globalThis)) return webAssetSource(location, inflate, NO_CACHES);
  const cache = cacheApi(location);
  // Inflating happens on the calling thread, which is busy then.
  return webAssetSource(location, inflate, cache, {
    get: (file) => cache.get(file + INFLATED),
    put: (file, contents) => cache.put(file + INFLATED, contents),
  });
}

/** Suffix for the name of a file whose contents are kept inflated. No server is ever asked for it. */
const INFLATED = "?inflated";

const NO_CACHES = "this page is not served over https or from localhost, so it has no caches";

function cacheApi(location: string): AssetCache {
  // Opened once, since that costs as much as reading a small entry.
  let opened: Promise<Cache> | undefined;
  const cache = () => {
    opened ??= caches.open(CACHE_NAME);
    return opened;
  };
  const url = (file: string) => new URL(file, location).href;
  return {
    get: async (file) => {
      const found = await (await cache()).match(url(file));
      return found && new Uint8Array(await found.arrayBuffer());
    },
    has: async (file) => (await (await cache()).match(url(file))) !== undefined,
    put: async (file, bytes) =>
      (await cache()).put(url(file), new Response(bytes as Uint8Array<ArrayBuffer>)),
    prune: async (keep) => {
      const store = await cache();
      for (const request of await store.keys()) {
        const file = request.url.startsWith(location) ? request.url.slice(location.length) : undefined;
        if (file !== undefined && !keep(file)) await store.delete(request);
      }
    },
  };
}

async function inflate(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const inflater = new DecompressionStream("gzip");
  const writer = inflater.writable.getWriter();
  // One write is twice as fast as a stream of pieces, as measured. If it fails, so do the reads below.
  writer.write(bytes as Uint8Array<ArrayBuffer>).catch(() => {});
  writer.close().catch(() => {});
  const reader = inflater.readable.getReader();
  // Filled as data arrives: joining thousands of chunks at the end would cost as much again.
  const whole = new Uint8Array(maxBytes);
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return whole.subarray(0, length);
    if (length + value.byteLength > maxBytes) {
      await reader.cancel();
      throw new Error("more bytes than expected");
    }
    whole.set(value, length);
    length += value.byteLength;
  }
}
