import { access, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { makeFolders } from "../../util/make-folders.js";
import type { AssetSource } from "./asset-source.js";
import { type AssetCache, webAssetSource } from "./asset-source-web.js";

const inflate = promisify(gunzip);

/** Subfolder of the folder that the caller names, which may have other contents. Everything in the subfolder may be overwritten and removed. */
const OWN_FOLDER = "boxrun-assets";

/** Folder of fetched assets, unless the `cache` option says otherwise. */
export function defaultCacheFolder(env: NodeJS.ProcessEnv): string {
  return join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "boxrun");
}

/**
 * Creates a source for assets below a URL that ends in "/": in a folder (file:), or on a web server, and then kept below the folder `cache`. `part` names a part of
 * the cache for a location of its own.
 */
export function nodeAssetSource(location: string, cache: string, part = ""): AssetSource {
  if (!location.startsWith("file:"))
    return webAssetSource(location, inflateBytes, folderCache(join(cache, OWN_FOLDER, part)));
  const read: AssetSource["read"] = async (file, { onBytes } = {}) => {
    const bytes = plain(await readFile(new URL(file, location)));
    onBytes?.(bytes.byteLength);
    return bytes;
  };
  return {
    location,
    keeps: true,
    read,
    readLatest: (file) => read(file),
    isHere: async () => true,
    gunzip: inflateBytes,
  };
}

function folderCache(folder: string): AssetCache {
  // Names come from a verified manifest: letters, digits, "." and "-", and one folder for chunks.
  const path = (file: string) => join(folder, file);
  const exists = (file: string) => access(path(file)).then(() => true);
  return {
    get: async (file) => plain(await readFile(path(file))),
    has: (file) => exists(file).catch(() => false),
    put: async (file, bytes) => {
      const draft = `${path(file)}.${crypto.randomUUID()}`;
      await makeFolders(dirname(draft), { mkdir, stat }, dirname);
      await writeFile(draft, bytes);
      await rename(draft, path(file));
    },
    prune: async (keep) => {
      const names = await readdir(folder, { withFileTypes: true });
      for (const entry of names)
        if (entry.isFile() && !keep(entry.name)) await rm(path(entry.name), { force: true });
    },
  };
}

async function inflateBytes(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  // One piece of output instead of thousands of 16 KB that must be joined. The minimum of zlib is 64 bytes.
  const size = Math.max(64, maxBytes);
  return plain(await inflate(bytes, { maxOutputLength: size, chunkSize: size }));
}

/** Returns a Buffer as a Uint8Array. They only differ in `slice`, which in a Buffer shares memory instead of copying it. */
function plain({ buffer, byteOffset, byteLength }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
