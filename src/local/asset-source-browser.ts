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
      const inflater = new DecompressionStream("gzip");
      const writer = inflater.writable.getWriter();
      // In one write: measured twice as fast as a stream of pieces. What fails here fails the reads below, too.
      writer.write(bytes as Uint8Array<ArrayBuffer>).catch(() => {});
      writer.close().catch(() => {});
      const reader = inflater.readable.getReader();
      // Filled as it comes: joining thousands of chunks at the end would cost as much again.
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
    },
  };
}
