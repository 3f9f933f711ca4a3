import type * as z from "zod/mini";

/** Options to parse an input with for {@link describeIssue}, which can then tell a missing field from one of the wrong type. */
export const PARSE_OPTIONS = { reportInput: true };

/** Describes the first problem of an input. The text begins with the name of the field. */
export function describeIssue(error: { issues: readonly z.core.$ZodIssue[] }): string {
  const issue = error.issues[0];
  if (!issue) return "the input is invalid";
  if (issue.code === "unrecognized_keys") return `unknown option ${issue.keys.join(", ")}`;
  const where = issue.path.map(String).join(".");
  return where ? `${where} ${describe(issue)}` : describe(issue);
}

function describe(issue: z.core.$ZodIssue): string {
  // The message for a key is one level down.
  if (issue.code === "invalid_key") return `${issue.issues[0]?.message}`;
  if (issue.code !== "invalid_type") {
    // Only numbers: text may be a secret.
    return typeof issue.input === "number" ? `${issue.message}, got ${issue.input}` : issue.message;
  }
  return "input" in issue && issue.input === undefined ? "is missing" : `must be of type ${issue.expected}`;
}
