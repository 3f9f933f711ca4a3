import { BoxRunError } from "../../backend/errors.js";

/** The error of a guest that breaks the protocol. Its machine is ended. */
export function violation(what: string): BoxRunError {
  return new BoxRunError("PROTOCOL_ERROR", `the guest broke the protocol and was ended: its agent ${what}`);
}
