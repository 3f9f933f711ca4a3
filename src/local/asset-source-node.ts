import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { AssetSource } from "./asset-source.js";

const inflate = promisify(gunzip);

/** Assets in a folder, given as a file: URL that ends in "/". */
export function fileAssetSource(location: string): AssetSource {
  return {
    location,
    read: async (file) => plain(await readFile(new URL(file, location))),
    gunzip: async (bytes, maxBytes) => {
      // One piece of output instead of thousands of 16 KB, joined. zlib's least is 64 bytes.
      const size = Math.max(64, maxBytes);
      return plain(await inflate(bytes, { maxOutputLength: size, chunkSize: size }));
    },
  };
}

/** A Buffer is a Uint8Array in all but `slice`, which shares memory instead of copying it. */
function plain({ buffer, byteOffset, byteLength }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
