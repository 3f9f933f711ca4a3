import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ERROR_CODES } from "../../src/contract/codes.js";
import { STATUS_OF_CODE } from "../../src/contract/statuses.js";
import { ROOT } from "../root.js";

const text = readFileSync(join(ROOT, "docs/reference/errors.md"), "utf8");

it("docs/reference/errors.md has a heading for each code, and no other", () => {
  const headings = [...text.matchAll(/^## ([A-Z_]+)$/gm)].map(([, code]) => code);
  expect(headings.sort()).toEqual([...ERROR_CODES].sort());
});

it("docs/reference/errors.md gives the HTTP status of each code", () => {
  const rows = [...text.matchAll(/^\| (\d{3}) +\|([^|]*)\|$/gm)].flatMap(([, status, codes]) =>
    [...codes!.matchAll(/`([A-Z_]+)`/g)].map(([, code]) => [code, Number(status)] as const),
  );
  expect(Object.fromEntries(rows)).toEqual(STATUS_OF_CODE);
});
