/** The BoxRun API as data, for writing another client or server of it: routes, schemas of bodies, event streams, terminals and error codes. */
export * from "./contract/attach.js";
export * from "./contract/codes.js";
export * from "./contract/requests.js";
export * from "./contract/requests-files.js";
export {
  matchRoute,
  ROUTES,
  type Route,
  type RouteMatch,
  type RouteName,
  type RouteParams,
  routePath,
} from "./contract/routes.js";
export { eventSchema, type ServerEvent, SseDecoder, type SseEvent } from "./contract/sse-decode.js";
export { EventEncoder, type EventEncoding, KEEP_ALIVE } from "./contract/sse-encode.js";
export * from "./contract/statuses.js";
export type * from "./contract/types.js";
export * from "./contract/wire.js";
export * from "./contract/wire-files.js";
