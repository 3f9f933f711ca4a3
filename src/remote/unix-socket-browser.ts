/** Stand-in for unix-socket.ts in pages and edge functions, which have no Unix sockets. */
import { unsupported } from "../backend/errors.js";

/** @throws {BoxRunError} UNSUPPORTED */
export function openSocketFetch(): never {
  throw unsupported("a page cannot open a Unix socket", "use baseUrl");
}
