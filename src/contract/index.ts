/** The BoxRun API as data: its routes, the schemas of its bodies, its event streams, terminals and error codes. For those who write another client or server of it. */
export * from "./attach.js";
export * from "./codes.js";
export * from "./requests.js";
export * from "./requests-files.js";
export {
  matchRoute,
  ROUTES,
  type Route,
  type RouteMatch,
  type RouteName,
  type RouteParams,
  routePath,
} from "./routes.js";
export { eventSchema, type ServerEvent, SseDecoder, type SseEvent } from "./sse-decode.js";
export { EventEncoder, type EventEncoding, KEEP_ALIVE } from "./sse-encode.js";
export * from "./statuses.js";
export type * from "./types.js";
export * from "./wire.js";
export * from "./wire-files.js";
