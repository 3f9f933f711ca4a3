import { terminalSize } from "../contract/schemas.js";
import { invalid } from "./errors.js";

/** Checks the size of a terminal. @throws {BoxRunError} VALIDATION_ERROR when columns or rows are out of range */
export function requireTerminalSize(size: { cols: number; rows: number }): void {
  for (const [name, value] of Object.entries(size)) {
    if (terminalSize.safeParse(value).success) continue;
    throw invalid(`${name} must be an integer from 1 to 1000, got ${JSON.stringify(value)}`);
  }
}
