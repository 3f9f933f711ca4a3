/** Stand-in for forward.ts in pages and edge functions, which listen on no ports and need not load the code for it. */
import { unsupported } from "../backend/errors.js";

/** @throws {BoxRunError} UNSUPPORTED */
export async function forwardFrom(): Promise<never> {
  throw unsupported("forward needs a runtime that can listen on ports", "use box.fetch or box.connect here");
}

/** Returns false: nothing can listen here. */
export function canListen(): boolean {
  return false;
}
