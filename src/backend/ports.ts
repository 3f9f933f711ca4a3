import { BoxRunError, type ErrorDetails, invalid } from "./errors.js";
import { shown } from "./validate.js";

const MAX_PORT = 65_535;

/** Checks the number of a port. `least` is the lowest one. @throws {BoxRunError} VALIDATION_ERROR */
export function requirePort(port: number, name = "port", least = 1): void {
  if (Number.isInteger(port) && port >= least && port <= MAX_PORT) return;
  const given = typeof port === "string" ? JSON.stringify(port) : shown(port);
  throw invalid(`${name} must be an integer from ${least} to ${MAX_PORT}, got ${given}`);
}

/** Creates the error for a port of a box on which nothing listens. */
export function portClosed(port: number, details: ErrorDetails = {}): BoxRunError {
  return new BoxRunError("PORT_CLOSED", `nothing listens on port ${port} of the box`, {
    ...details,
    retryable: true,
    hint: `start the server in the background, and box.ports.waitFor(${port}) waits for it`,
  });
}
