import { BoxRunError, type ErrorDetails, invalid } from "./errors.js";

const MAX_PORT = 65_535;

/** Checks the number of a port. @throws {BoxRunError} VALIDATION_ERROR */
export function requirePort(port: number, name = "port"): void {
  if (!Number.isInteger(port) || port < 1 || port > MAX_PORT)
    throw invalid(`${name} must be an integer from 1 to ${MAX_PORT}, got ${port}`);
}

/** Creates the error for a port of a box on which nothing listens. */
export function portClosed(port: number, details: ErrorDetails = {}): BoxRunError {
  return new BoxRunError("PORT_CLOSED", `nothing listens on port ${port} of the box`, {
    ...details,
    retryable: true,
    hint: `start the server in the background, and box.ports.waitFor(${port}) waits for it`,
  });
}
