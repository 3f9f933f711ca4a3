/**
 * BoxRun: sandboxes that are one import away. This entry is small and loads what runs boxes only when it is needed.
 */
import type { Backend } from "./backend.js";
import { Client, type Connection } from "./client.js";
import { invalid } from "./errors.js";
import type { LocalOptions } from "./local/options.js";
import { requireLocalOptions } from "./validate.js";

export type * from "./backend.js";
export {
  BoxHandle,
  type Download,
  type DownloadOptions,
  type StartOptions,
  type UploadOptions,
} from "./box.js";
export type { CreateOptions, RunOptions } from "./client.js";
export { BoxRunError, ERROR_CODES, type ErrorCode, type ErrorDetails, isBoxRunError } from "./errors.js";
export type { Command, CommandOptions, ExecOptions, ExecStreamOptions } from "./exec.js";
export { type ExecEvent, type ExecResult, Execution, ExitError } from "./execution.js";
export type { LocalOptions } from "./local/options.js";
export type { Source } from "./source.js";

/** Options of {@link BoxRunClient}. */
export interface ClientOptions {
  /** "local": boxes are emulated here. A backend of your own is used as it is. Default "local". */
  backend?: "local" | Backend;
  local?: LocalOptions;
}

/**
 * Creates and finds boxes.
 *
 * Throws VALIDATION_ERROR for a wrong option. Nothing is loaded or started before the first call.
 *
 * @example
 * const client = new BoxRunClient();
 * await using box = await client.create("tiny");
 * const { stdout, exitCode } = await box.exec(["echo", "hello"]);   // "hello\n", 0
 */
export class BoxRunClient extends Client {
  constructor(options: ClientOptions = {}) {
    const { backend = "local", local = {}, ...unknown } = options;
    const [name] = Object.keys(unknown);
    if (name !== undefined) throw invalid(`there is no option ${name}`);
    requireLocalOptions(local);
    if (backend !== "local" && (typeof backend !== "object" || backend === null))
      throw invalid('backend must be "local" or a backend');
    super(() => connect(backend, local));
  }
}

async function connect(backend: "local" | Backend, local: LocalOptions): Promise<Connection> {
  if (backend !== "local") return { backend, kind: "custom", reason: "the backend option is a backend" };
  const { createLocalBackend } = await import("boxrun/local");
  return { backend: createLocalBackend(local), kind: "local", reason: 'the backend option is "local"' };
}
