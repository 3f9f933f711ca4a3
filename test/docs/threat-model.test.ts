import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { TARGETS } from "../robustness/fuzz/targets.js";
import { ROOT } from "../root.js";
import { testTitles } from "./test-titles.js";

const text = readFileSync(join(ROOT, "docs/internals/threat-model.md"), "utf8");
/** A file, and a title of a test in it, or a part of one. */
const REFERENCE = /`((?:test|src)\/[\w./-]+\.ts)`(?: \(([^)]+)\))?/g;
/** Its titles are made of the names of its targets. */
const FUZZ = "test/robustness/fuzz/fuzz.test.ts";

function titlesOf(file: string): string[] {
  return [...testTitles(join(ROOT, file)), ...(file === FUZZ ? TARGETS.map(({ name }) => name) : [])];
}

it("the tests that the threat model names are there", () => {
  const references = [...text.matchAll(REFERENCE)].map(([, file, title]) => ({
    file: file as string,
    title,
  }));
  expect(references.length).toBeGreaterThan(30);
  const missing = references.filter(
    ({ file, title }) =>
      !existsSync(join(ROOT, file)) || (title && !titlesOf(file).some((one) => one.includes(title))),
  );
  expect(missing).toEqual([]);
});
