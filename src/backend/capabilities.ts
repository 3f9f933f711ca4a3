import type { Capabilities, Capability } from "./backend.js";
import { unsupported } from "./errors.js";

/** Checks that a backend has a feature. @throws {BoxRunError} UNSUPPORTED, with the backend's reason */
export function requireCapability(capabilities: Capabilities, name: Capability, hint?: string): void {
  const reason = capabilities[name];
  if (reason !== true) throw unsupported(`${name}: ${reason ?? "this backend does not have it"}`, hint);
}
