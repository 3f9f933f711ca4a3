/**
 * For writing a backend: what `BoxRunClient` and `createHandler` stand on. `contractSuite` of `boxrun/testing` tests one.
 *
 * @example
 * import { type Backend, BoxRunError } from "boxrun/backend";
 *
 * class MyBackend implements Backend { ... }
 * const client = new BoxRunClient({ backend: new MyBackend() });
 */
export type * from "./backend/backend.js";
export {
  BoxRunError,
  ERROR_CODES,
  type ErrorCode,
  type ErrorDetails,
  isBoxRunError,
} from "./backend/errors.js";
