import { unsupported } from "../backend/errors.js";

/** Never called: pages have no Unix sockets, and need not load the code that Node needs. */
export function openAgent(): never {
  throw unsupported("a page cannot open a Unix socket", "use baseUrl");
}

/** Never called: pages have a WebSocket of their own. */
export function openWebSocket(): never {
  throw unsupported("this runtime has no WebSocket", "pass one as the option WebSocket");
}
