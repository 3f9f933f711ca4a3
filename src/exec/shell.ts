import { invalid } from "../backend/errors.js";
import type { ExecOptions } from "./exec.js";
import type { ExecResult } from "./result.js";

/** One word of a {@link ShellTag}'s command. */
export type ShellWord = string | number | bigint | boolean;

/** Value in a {@link ShellTag}: a word, or an array of words. */
export type ShellValue = ShellWord | readonly ShellWord[];

/** A tag that runs its template as a command of `/bin/sh`. See {@link BoxHandle.sh}. */
export type ShellTag = (template: TemplateStringsArray, ...values: ShellValue[]) => Promise<ExecResult>;

/** A {@link ShellTag} that also takes options. See {@link BoxHandle.sh}. */
export interface Shell extends ShellTag {
  /** Returns a tag with these options. */
  (options: ExecOptions): ShellTag;
}

/** Creates the tag of a box. */
export function shellOf(exec: (cmd: string, options: ExecOptions) => Promise<ExecResult>): Shell {
  const run = async (options: ExecOptions, { raw }: TemplateStringsArray, values: unknown[]) => {
    // As they are now: the caller may change them while the code is loaded.
    const given = values.map((value) => (Array.isArray(value) ? [...value] : value));
    const { shellCommand } = await import("./shell-template.js");
    return exec(shellCommand(raw, given), options);
  };
  return ((first: unknown, ...values: unknown[]) => {
    if (isTemplate(first)) return run({}, first, values);
    if (typeof first !== "object" || first === null || Array.isArray(first))
      return Promise.reject(invalid("sh takes a template", "as in box.sh`ls`; exec takes a string"));
    return async (template: unknown, ...words: unknown[]) => {
      if (!isTemplate(template)) throw invalid("sh takes a template", "as in box.sh({ cwd })`ls`");
      return run(first as ExecOptions, template, words);
    };
  }) as Shell;
}

function isTemplate(value: unknown): value is TemplateStringsArray {
  return Array.isArray(value) && Array.isArray((value as { raw?: unknown }).raw);
}
