import { BoxRunError } from "./errors.js";

/** Decodes a file's contents as UTF-8, a byte order mark included. @throws {BoxRunError} RESOURCE_EXCEEDED when they are longer than a string can be */
export function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  } catch {
    // The decoder takes all bytes but too many.
    throw new BoxRunError(
      "RESOURCE_EXCEEDED",
      `a string cannot hold ${bytes.byteLength} bytes: read them as bytes`,
    );
  }
}
