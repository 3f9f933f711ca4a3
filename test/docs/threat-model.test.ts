import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../root.js";

const text = readFileSync(join(ROOT, "docs/internals/threat-model.md"), "utf8");
/** A file, and what it says in quotes of a test. */
const REFERENCE = /`((?:test|src)\/[\w./-]+\.ts)`(?: \(([^)]+)\))?/g;

it("the tests that the threat model names are there", () => {
  const references = [...text.matchAll(REFERENCE)].map(([, file, title]) => ({
    file: file as string,
    title,
  }));
  expect(references.length).toBeGreaterThan(30);
  const missing = references.filter(({ file, title }) => {
    const path = join(ROOT, file);
    return !existsSync(path) || (title && !readFileSync(path, "utf8").includes(title) && !isTarget(title));
  });
  expect(missing).toEqual([]);
});

/** Of test/robustness/fuzz/fuzz.test.ts, whose titles are made of names. */
function isTarget(title: string): boolean {
  return readFileSync(join(ROOT, "test/robustness/fuzz/http-targets.ts"), "utf8").includes(
    `name: "${title}"`,
  );
}
