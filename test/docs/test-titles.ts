import { readFileSync } from "node:fs";
import ts from "typescript";

const DECLARING = ["describe", "it", "test"];

/**
 * Titles of the tests and groups of a file, as its code declares them. A title with `%s` stands there once for each row of its table, with the row's name.
 * Comments, other strings and tests that are skipped without a condition are none.
 */
export function testTitles(path: string): string[] {
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
  const tables = new Map<string, ts.Expression>();
  const titles: string[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isVariableDeclaration(node) && node.initializer) tables.set(node.name.getText(), node.initializer);
    if (ts.isCallExpression(node)) titles.push(...titlesOf(node, tables));
    ts.forEachChild(node, visit);
  };
  visit(source);
  return titles;
}

function titlesOf(call: ts.CallExpression, tables: Map<string, ts.Expression>): string[] {
  const title = call.arguments[0] && textOf(call.arguments[0]);
  const { names, table } = calleeOf(call.expression);
  if (title === undefined || !DECLARING.includes(names[0]!)) return [];
  if (names.includes("skip") || names.includes("todo")) return [];
  const rows = table && (ts.isIdentifier(table) ? tables.get(table.text) : table);
  if (!rows || !ts.isArrayLiteralExpression(rows)) return [title];
  return rows.elements.map((row) => title.replace("%s", rowName(row) ?? "%s"));
}

/** The names in `it.skipIf(condition).each(table)`, first to last, and the table. */
function calleeOf(callee: ts.Expression): { names: string[]; table?: ts.Expression | undefined } {
  if (ts.isIdentifier(callee)) return { names: [callee.text] };
  if (ts.isPropertyAccessExpression(callee)) {
    const { names, table } = calleeOf(callee.expression);
    return { names: [...names, callee.name.text], table };
  }
  if (!ts.isCallExpression(callee)) return { names: [""] };
  const { names, table } = calleeOf(callee.expression);
  return { names, table: names.at(-1) === "each" ? callee.arguments[0] : table };
}

/** A string, or a template with its expressions left out. */
function textOf(node: ts.Expression): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return undefined;
  return node.head.text + node.templateSpans.map(({ literal }) => literal.text).join("");
}

/** What `%s` stands for in the title: the row, or the first element of it. */
function rowName(row: ts.Expression): string | undefined {
  const first = ts.isArrayLiteralExpression(row) ? row.elements[0] : row;
  return first && textOf(first);
}
