import type * as z from "zod/mini";
import type { BoxSpec, ExecSpec } from "./backend.js";
import { describeIssue } from "./contract/issues.js";
import { boxSpecSchema, execSpecSchema, localOptionsSchema } from "./contract/schemas.js";
import { invalid } from "./errors.js";

/** Checks what a box is to be, and fills in the defaults. VALIDATION_ERROR names the field. */
export function parseBoxSpec(input: unknown): BoxSpec {
  return parse(boxSpecSchema, input);
}

/** Checks a command, and fills in the defaults. VALIDATION_ERROR names the field. */
export function parseExecSpec(input: unknown): ExecSpec {
  return parse(execSpecSchema, input);
}

/** Checks the options of the local backend. VALIDATION_ERROR names the one that is wrong. */
export function requireLocalOptions(input: unknown): void {
  parse(localOptionsSchema, input);
}

function parse<T extends z.ZodMiniType>(schema: T, input: unknown): z.infer<T> {
  const result = schema.safeParse(withoutUndefined(input));
  if (result.success) return result.data;
  throw invalid(describeIssue(result.error));
}

/** An option that is given as undefined is an option that is not given. */
function withoutUndefined(input: unknown): unknown {
  if (typeof input !== "object" || input === null) return input;
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}
