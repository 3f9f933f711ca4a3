import { concatBytes } from "../util/bytes.js";
import type { AssetSource } from "./asset-source.js";

/** Assets on a web server, below a URL that ends in "/". */
export function fetchAssetSource(location: string): AssetSource {
  return {
    location,
    read: async (file) => {
      const response = await fetch(new URL(file, location));
      if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    },
    gunzip: async (bytes, maxBytes) => {
      const inflated = new Blob([bytes as Uint8Array<ArrayBuffer>])
        .stream()
        .pipeThrough(new DecompressionStream("gzip"));
      const reader = inflated.getReader();
      const chunks: Uint8Array[] = [];
      let length = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return concatBytes(chunks);
        length += value.byteLength;
        if (length > maxBytes) {
          await reader.cancel();
          throw new Error("more bytes than expected");
        }
        chunks.push(value);
      }
    },
  };
}
