import { expect, it } from "vitest";
import { comments } from "./public-api.js";

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
