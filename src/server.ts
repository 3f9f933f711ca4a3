/** The BoxRun HTTP API over any backend, as a handler of web-standard requests. */
export { createHandler, type Handler } from "./server/handler.js";
export type { HandlerOptions, RelayOptions } from "./server/options.js";
export type { ServerSocket } from "./server/terminal.js";
export type { Upgrade } from "./server/upgrade.js";
