import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../root.js";

const SOURCES = join(ROOT, "wasm/agent");

const files = readdirSync(SOURCES).filter((name) => /\.[ch]$/.test(name));
const textOf = new Map(files.map((file) => [file, readFileSync(join(SOURCES, file), "utf8")]));
const unitOf = (file: string) => file.replace(/\.[ch]$/, "");
/** The agent's own headers that a file includes. */
const includesOf = (file: string) =>
  [...textOf.get(file)!.matchAll(/^\s*#\s*include\s*"([^"]*)"/gm)].map(([, header]) => header!);

/** The rows of the table in wasm/README.md, highest first. */
const rows = rowsOf(readFileSync(join(ROOT, "wasm/README.md"), "utf8"));
const rowOf = (file: string) => rows.findIndex((units) => units.includes(unitOf(file)));

function rowsOf(readme: string): string[][] {
  const section = readme.split(/^## /m).find((part) => part.startsWith("The agent's files"));
  const cells = [...(section ?? "").matchAll(/^\| *(`[^|]*?) *\|/gm)].map(([, cell]) => cell!);
  return cells.map((cell) => [...cell.matchAll(/`([^`]*)`/g)].map(([, unit]) => unit!));
}

describe("the agent's files", () => {
  it("are each in one row of the table", () => {
    expect(rows.flat().sort()).toEqual([...new Set(files.map(unitOf))].sort());
  });

  it("include headers of lower rows and their own, and no other", () => {
    const upward = files.flatMap((file) =>
      includesOf(file)
        .filter((header) => unitOf(header) !== unitOf(file) && rowOf(header) <= rowOf(file))
        .map((header) => `${file} includes ${header}`),
    );
    expect(upward).toEqual([]);
  });

  it("include their own header first, so that it needs no other before it", () => {
    const sources = files.filter((file) => file.endsWith(".c") && file !== "main.c");
    expect(sources.filter((file) => includesOf(file)[0] !== `${unitOf(file)}.h`)).toEqual([]);
  });

  it("declare what is another's by including its header alone", () => {
    const sources = files.filter((file) => file.endsWith(".c"));
    expect(sources.filter((file) => /^\s*extern\b/m.test(textOf.get(file)!))).toEqual([]);
  });
});
