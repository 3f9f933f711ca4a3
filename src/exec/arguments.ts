import { invalid } from "../backend/errors.js";
import { requireObject, requireSignal } from "../backend/validate.js";

/** A command: an array is argv, run without a shell; a string is run by `/bin/sh -c`. */
export type Command = readonly string[] | string;

/** Arguments of a call after its command: the options; or an array of arguments for the program, and the options. */
export type CommandArguments<Options> = readonly [first?: readonly string[] | Options, second?: Options];

/** Returns the command and the options that such arguments are. @throws {BoxRunError} VALIDATION_ERROR when they fit neither form */
export function commandAndOptions<Options extends object>(
  cmd: Command,
  [first, second]: CommandArguments<Options>,
): [Command, Options] {
  const isArgs = Array.isArray(first);
  const given: unknown = isArgs ? second : first;
  const options = given === undefined ? {} : given;
  if (isArgs && typeof cmd !== "string") throw invalid("a program with arguments must be a string", FORMS);
  if (!isArgs && second !== undefined) throw invalid("arguments must be an array", FORMS);
  requireObject(options, FORMS);
  requireSignal((options as { signal?: unknown }).signal);
  return [isArgs ? [cmd as string, ...first] : cmd, options as Options];
}

/** Forms of a call, for a caller who used another. */
const FORMS = 'as in exec("ls -l", { env }), exec(["ls", "-l"], { env }) or exec("ls", ["-l"], { env })';
