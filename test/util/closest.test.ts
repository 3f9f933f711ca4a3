import { expect, it } from "vitest";
import { closest } from "../../src/util/closest.js";

it.each([
  ["memoryMB", ["cpu", "memoryMb"], "memoryMb"],
  ["memory_mb", ["cpu", "memoryMb"], "memoryMb"],
  ["cuont", ["count", "image"], "count"],
  ["imagse", ["count", "image"], "image"],
  ["diskSizGB", ["diskSizeGb", "cpu"], "diskSizeGb"],
  ["workindir", ["workdir", "env"], "workdir"],
  // Another word, though a short one is never many letters away.
  ["ports", ["hosts", "env"], undefined],
  ["user", ["env", "name"], undefined],
  ["", ["env"], undefined],
])("the closest to %j among %j is %j", (given, names, meant) => {
  expect(closest(given, names)).toBe(meant);
});
