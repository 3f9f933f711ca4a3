import type * as z from "zod/mini";

/** The first thing that is wrong with an input, in words that begin with the name of the field. */
export function describeIssue(error: { issues: readonly z.core.$ZodIssue[] }): string {
  const issue = error.issues[0];
  if (!issue) return "the input is not what it should be";
  if (issue.code === "unrecognized_keys") return `there is no option ${issue.keys.join(", ")}`;
  const where = issue.path.map(String).join(".");
  const what = issue.code === "invalid_type" ? `must be of type ${issue.expected}` : issue.message;
  return where ? `${where} ${what}` : what;
}
