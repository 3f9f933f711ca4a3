import type * as z from "zod/mini";

/** How {@link describeIssue} wants an input to be parsed: it tells what is missing from what is of another type. */
export const PARSE_OPTIONS = { reportInput: true };

/** The first thing that is wrong with an input, in words that begin with the name of the field. */
export function describeIssue(error: { issues: readonly z.core.$ZodIssue[] }): string {
  const issue = error.issues[0];
  if (!issue) return "the input is not what it should be";
  if (issue.code === "unrecognized_keys") return `there is no option ${issue.keys.join(", ")}`;
  const where = issue.path.map(String).join(".");
  return where ? `${where} ${describe(issue)}` : describe(issue);
}

function describe(issue: z.core.$ZodIssue): string {
  // A key's own words are one level down.
  if (issue.code === "invalid_key") return `${issue.issues[0]?.message}`;
  if (issue.code !== "invalid_type") return issue.message;
  return "input" in issue && issue.input === undefined ? "is missing" : `must be of type ${issue.expected}`;
}
