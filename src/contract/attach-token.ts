import { PROTOCOL, TOKEN_PROTOCOL } from "./attach.js";
import { isToken } from "./token.js";

/** Returns the sub-protocols that carry a token, in base64url: a sub-protocol cannot hold all characters of a token. */
export function tokenProtocols(token: string): string[] {
  const encoded = btoa(token).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return [PROTOCOL, TOKEN_PROTOCOL + encoded];
}

/** Returns the token that sub-protocols carry; undefined when there is none. */
export function tokenOf(protocols: readonly string[]): string | undefined {
  const encoded = protocols.find((name) => name.startsWith(TOKEN_PROTOCOL))?.slice(TOKEN_PROTOCOL.length);
  try {
    const token = encoded && atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
    return isToken(token) ? token : undefined;
  } catch {
    return undefined;
  }
}
