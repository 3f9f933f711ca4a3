import { terminalSize } from "../contract/schemas.js";
import { invalid } from "./errors.js";

/** VALIDATION_ERROR for what is no size of a terminal. */
export function requireTerminalSize(size: { cols: number; rows: number }): void {
  for (const [name, value] of Object.entries(size)) {
    if (terminalSize.safeParse(value).success) continue;
    throw invalid(`${name} must be a whole number from 1 to 1000, and ${JSON.stringify(value)} is not`);
  }
}
