import { BoxRunError } from "../../backend/errors.js";

/** The guest did what the protocol forbids. Whoever reads from it ends the machine. */
export function violation(what: string): BoxRunError {
  return new BoxRunError("PROTOCOL_ERROR", `the guest broke the protocol and was ended: its agent ${what}`);
}
