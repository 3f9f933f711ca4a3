import ts from "typescript";
import { expect, it } from "vitest";
import { ERROR_CODES } from "../../src/contract/codes.js";
import { checker, comments, entryOf, exportedType } from "./public-api.js";

/** A comment without a word in it. */
const EMPTY = /^\/\*[\s*]*\/$/;
const namesOf = (pattern: RegExp) =>
  [...comments].flatMap(([name, text]) => (text !== null && pattern.test(text) ? [name] : []));

it("every public symbol and member has a doc comment", () => {
  expect(comments.size).toBeGreaterThan(300);
  expect([...comments].flatMap(([name, text]) => (text === null || EMPTY.test(text) ? [name] : []))).toEqual(
    [],
  );
});

it("no doc comment says Default or Throws where @default and @throws belong", () => {
  expect(namesOf(/\bDefaults?\b/)).toEqual([]);
  expect(namesOf(/\bThrows\b/)).toEqual([]);
});

it("every @throws names an error of ours with its code, or a built-in one", () => {
  const form = new RegExp(
    `^@throws \\{((BoxRunError|ExitError)\\} (${ERROR_CODES.join("|")})|(Range|Type)Error\\} when)\\b`,
  );
  const tags = [...comments].flatMap(([name, text]) =>
    (text?.match(/@throws.*/g) ?? []).map((tag) => [name, tag] as const),
  );
  expect(tags.length).toBeGreaterThan(50);
  expect(tags.filter(([, tag]) => !form.test(tag))).toEqual([]);
});

it("every option has a @default, except callbacks, signals and groups of options", () => {
  const interfaces = [...entryOf.keys()].filter((name) => OPTIONS.test(name));
  expect(interfaces.length).toBeGreaterThan(10);
  const missing = interfaces.flatMap((name) =>
    exportedType(name)
      .getProperties()
      .filter((option) => option.flags & ts.SymbolFlags.Optional && !explainsItself(option))
      .filter((option) => !option.getJsDocTags(checker).some((tag) => tag.name === "default"))
      .map((option) => `${name}.${option.name}`),
  );
  expect(missing).toEqual([]);
});

/** Names of interfaces of options. */
const OPTIONS = /(Options|Timeouts)$/;

/** Returns true for an option that nothing stands in for when it is left out. */
function explainsItself(option: ts.Symbol): boolean {
  const type = checker.getNonNullableType(checker.getTypeOfSymbol(option));
  const name = type.symbol?.name ?? "";
  return /^on[A-Z]/.test(option.name) || name === "AbortSignal" || OPTIONS.test(name);
}
