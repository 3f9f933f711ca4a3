/** Returns true for a text that can be a token in a header: visible ASCII. */
export function isToken(value: unknown): value is string {
  return typeof value === "string" && /^[\x21-\x7e]+$/.test(value);
}
