import { fromBase64, toBase64 } from "../../../util/base64.js";
import { CARRIES_CREDENTIALS, type Header } from "../http/requests.js";

/** Headers that servers repeat in their answers, from which a program in the box could read the value. */
const REPEATED = /^(?:sec-|access-control-)/i;
const BASIC = /^Basic +([A-Za-z0-9+/]+=*)$/i;

/** Rewrites the value of a header that carries secrets; of "Basic", the user's name and password, which are encoded. */
export function rewriteHeader({ name, value }: Header, rewrite: (value: string) => string): string {
  if (!CARRIES_CREDENTIALS.test(name) || REPEATED.test(name)) return value;
  const [, encoded] = (name.toLowerCase() === "authorization" && BASIC.exec(value)) || [];
  if (encoded === undefined) return rewrite(value);
  try {
    const plain = new TextDecoder("utf-8", { fatal: true }).decode(fromBase64(encoded));
    const rewritten = rewrite(plain);
    return rewritten === plain ? value : `Basic ${toBase64(new TextEncoder().encode(rewritten))}`;
  } catch {
    return value;
  }
}
