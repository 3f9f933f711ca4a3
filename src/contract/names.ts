import { fromBase64, toBase64 } from "../util/base64.js";
import { isWellFormed } from "../util/well-formed.js";

/** A name or path as it comes over the wire: as text, or in base64 where it is no UTF-8. */
export type WireName = string | null | undefined;

/** Its bytes. Throws for what is no base64, and for text that no UTF-8 stands for. */
export function readName(text: WireName, base64: WireName): Uint8Array {
  if (typeof base64 === "string") return fromBase64(base64);
  if (!isWellFormed(text ?? "")) throw new Error("half a surrogate pair");
  return new TextEncoder().encode(text ?? "");
}

/** Its fields, under a key and this key with "_b64". The text is there in any case, for people. */
export function writeName(key: string, bytes: Uint8Array): Record<string, string> {
  try {
    return { [key]: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    const shown = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    return { [key]: shown, [`${key}_b64`]: toBase64(bytes) };
  }
}
