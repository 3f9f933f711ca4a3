import type * as z from "zod/mini";
import { describeUnknown } from "./option-names.js";

/** Options to parse an input with for {@link describeIssue}, which can then tell a missing field from one of the wrong type. */
export const PARSE_OPTIONS = { reportInput: true };

/**
 * Describes the first problem of an input. The text begins with the path of the field: "warm[0].image". `schema` is what the input was parsed with, where that
 * refuses unknown fields, and `root` the name of the input as a whole.
 */
export function describeIssue(
  error: { issues: readonly z.core.$ZodIssue[] },
  schema?: z.ZodMiniType,
  root = "",
): string {
  const issue = error.issues[0];
  if (!issue) return "the input is invalid";
  const where = pathText(issue.path, root);
  if (issue.code === "unrecognized_keys") {
    const names = Object.keys(schema ? shapeAt(schema, issue.path) : {});
    return issue.keys.map((key) => describeUnknown(key, names, where)).join(", ");
  }
  if (issue.code === "invalid_union") {
    // Of a value that may be an object or something else, the faults of the object's fields are of use.
    const inner = issue.errors
      .flat()
      .find(({ code, path }) => path.length > 0 || code === "unrecognized_keys");
    if (inner)
      return describeIssue({ issues: [{ ...inner, path: [...issue.path, ...inner.path] }] }, schema, root);
  }
  return where ? `${where} ${describe(issue)}` : describe(issue);
}

function pathText(path: readonly PropertyKey[], root: string): string {
  const join = (text: string, key: PropertyKey) =>
    typeof key === "number" ? `${text}[${key}]` : text ? `${text}.${String(key)}` : String(key);
  return path.reduce<string>(join, root);
}

interface Definition {
  in?: z.ZodMiniType;
  innerType?: z.ZodMiniType;
  element?: z.ZodMiniType;
  options?: readonly z.ZodMiniType[];
  shape?: Readonly<Record<string, z.ZodMiniType>>;
}

/** Returns the fields of the object at a path of a schema, whatever wraps it. */
function shapeAt(schema: z.ZodMiniType, path: readonly PropertyKey[]): NonNullable<Definition["shape"]> {
  const { in: input, innerType, options, element, shape = {} } = schema._zod.def as unknown as Definition;
  // Of the schemas of a union, the last is that of the object.
  const wrapped = input ?? innerType ?? options?.at(-1);
  if (wrapped) return shapeAt(wrapped, path);
  const [key, ...rest] = path;
  if (key === undefined) return shape;
  const next = element ?? shape[String(key)];
  return next ? shapeAt(next, rest) : {};
}

function describe(issue: z.core.$ZodIssue): string {
  // The message for a key is one level down.
  if (issue.code === "invalid_key") return `${issue.issues[0]?.message}`;
  if (issue.code === "invalid_union" && "input" in issue) {
    const kinds = issue.errors.flatMap(([first]) =>
      first?.code === "invalid_type" ? withArticle(first.expected) : [],
    );
    return `must be ${kinds.join(" or ")}, got ${kindOf(issue.input)}`;
  }
  if (issue.code !== "invalid_type") {
    // Only numbers: text may be a secret.
    return typeof issue.input === "number" ? `${issue.message}, got ${issue.input}` : issue.message;
  }
  if (!("input" in issue)) return `must be ${withArticle(issue.expected)}`;
  return issue.input === undefined
    ? "is missing"
    : `must be ${withArticle(issue.expected)}, got ${kindOf(issue.input)}`;
}

function withArticle(expected: string): string {
  const name = expected === "record" ? "object" : expected;
  return `${/^[aeiou]/.test(name) ? "an" : "a"} ${name}`;
}

function kindOf(value: unknown): string {
  if (value === null || Number.isNaN(value)) return String(value);
  return Array.isArray(value) ? "array" : typeof value;
}
