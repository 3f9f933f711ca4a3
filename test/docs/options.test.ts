import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, it } from "vitest";
import { checker, exportedType } from "../package/public-api.js";
import { ROOT } from "../root.js";

const text = readFileSync(join(ROOT, "docs/reference/options.md"), "utf8");

/** The rows of a section's table, as cells. */
function tableOf(heading: string): string[][] {
  const section = text.split(/^#{2,3} /m).find((one) => one.startsWith(`${heading}\n`));
  const [, , ...rows] = section?.match(/^\|.*\|$/gm) ?? [];
  return rows
    .map((row) => row.split(/(?<!\\)\|/).map((cell) => cell.trim()))
    .map((cells) => cells.slice(1, -1));
}

/** The row for all calls that have none of their own. */
const OTHERS = "all others";

const namesIn = (cell: string) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name!);

/** The number, size, string or word that a default begins with; undefined for one that is described. */
function literalOf(value: string | undefined): string | undefined {
  return /^`?("[^"]*"|\d+( [MG]iB)?\b|true\b|false\b|none\b)/.exec(value ?? "")?.[1];
}

/** What the doc comment of an option says of its default; undefined for an option without one. */
function defaultOf(option: ts.Symbol): string | undefined {
  const tag = option.getJsDocTags(checker).find(({ name }) => name === "default");
  return tag && ts.displayPartsToString(tag.text);
}

it.each([
  ["new BoxRunClient", ["ClientOptions"]],
  ["timeouts", ["Timeouts"]],
  ["local", ["LocalOptions"]],
  ["client.create, client.getOrCreate and client.run", ["CreateOptions"]],
  ["box.exec, box.execStream and box.spawn", ["ExecOptions", "ExecStreamOptions"]],
  ["box.attach", ["AttachOptions"]],
  ["createHandler and serve", ["ServeOptions"]],
])(
  "docs/reference/options.md lists the options of %s that there are, and their defaults",
  (heading, types) => {
    // The first type that has an option says what its default is.
    const options = new Map(
      types
        .flatMap((type) => exportedType(type).getProperties())
        .reverse()
        .map((option) => [option.name, option]),
    );
    const rows = tableOf(heading).flatMap(([names, value]) =>
      namesIn(names!).map((name) => [name, value!] as const),
    );
    expect(rows.map(([name]) => name).sort()).toEqual([...options.keys()].sort());
    const defaults = rows.map(([name, value]) => [name, value !== "", literalOf(value)]);
    expect(defaults).toEqual(
      rows.map(([name]) => {
        const value = defaultOf(options.get(name)!);
        return [name, value !== undefined, literalOf(value)];
      }),
    );
  },
);

/** Names of the options of each method of a class or interface that takes any. */
function callsOf(prefix: string, type: string): [string, string[]][] {
  return exportedType(type)
    .getProperties()
    .flatMap((method) => {
      const options = checker.getTypeOfSymbol(method).getCallSignatures().map(optionsOf);
      const names = [...new Set(options.flat())].sort();
      return names.length > 0 ? [[`${prefix}.${method.name}`, names] as [string, string[]]] : [];
    });
}

/** Names of the options of a function, which are its last parameter. */
function optionsOf(signature: ts.Signature): string[] {
  const last = signature.getParameters().at(-1);
  const node = last?.valueDeclaration;
  if (!last || !node || !ts.isParameter(node) || !checker.isOptionalParameter(node)) return [];
  const type = checker.getNonNullableType(checker.getTypeOfSymbol(last));
  return type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)
    ? type.getProperties().map(({ name }) => name)
    : [];
}

it("docs/reference/options.md lists the options of every other call", () => {
  const calls = [
    ...callsOf("client", "BoxRunClient"),
    ...callsOf("box", "BoxHandle"),
    ...callsOf("box.files", "BoxFiles"),
    ...callsOf("execution", "Execution"),
  ].filter(([call]) => !new RegExp(`^## .*\\b${call}\\b`, "m").test(text));
  const rows = new Map(
    tableOf("Other calls").map(([call, options]) => [call!.replaceAll("`", ""), namesIn(options!).sort()]),
  );
  const rest = rows.get(OTHERS);
  rows.delete(OTHERS);
  for (const [call] of calls) if (!rows.has(call)) rows.set(call, rest ?? []);
  expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(calls));
});
