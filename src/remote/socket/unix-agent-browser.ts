import { unsupported } from "../../backend/errors.js";

/** There are no Unix sockets in a page: nobody gets here, and pages need not carry what Node needs. */
export function openAgent(): never {
  throw unsupported("a page cannot open a Unix socket", "use baseUrl");
}

/** Pages have their own. */
export function openWebSocket(): never {
  throw unsupported("this runtime has no WebSocket", "pass one as the option WebSocket");
}
