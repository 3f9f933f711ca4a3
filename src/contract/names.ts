import * as z from "zod/mini";
import { fromBase64, toBase64 } from "../util/base64.js";
import { isWellFormed } from "../util/well-formed.js";
import { pathFault } from "./paths.js";

/** A name or path on the wire: text, or base64 when it is not UTF-8. */
export type WireName = string | null | undefined;

/** Reads a name as bytes. @throws when the base64 is malformed, or the text has half a surrogate pair */
export function readName(text: WireName, base64: WireName): Uint8Array {
  if (typeof base64 === "string") return fromBase64(base64);
  if (!isWellFormed(text ?? "")) throw new Error("half a surrogate pair");
  return new TextEncoder().encode(text ?? "");
}

/** Reads an absolute path as bytes, in a schema: what is wrong with it becomes an issue of the field `key`. */
export function readPath(
  context: { issues: unknown[] },
  key: string,
  text: WireName,
  base64: WireName,
): Uint8Array {
  let fault: string | undefined;
  try {
    const path = readName(text, base64);
    fault = pathFault(path);
    if (!fault) return path;
  } catch {
    fault = "must be a string without half a surrogate pair, or base64";
  }
  context.issues.push({ code: "custom", path: [key], message: fault, input: text });
  return z.NEVER;
}

/** Writes a name as the field `key`, and as `key` with "_b64" when it is not UTF-8. The text is always there, for people. */
export function writeName(key: string, bytes: Uint8Array): Record<string, string> {
  try {
    return { [key]: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    const shown = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    return { [key]: shown, [`${key}_b64`]: toBase64(bytes) };
  }
}
