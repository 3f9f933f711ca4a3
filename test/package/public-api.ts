import { join, relative, sep } from "node:path";
import ts from "typescript";
import { ROOT } from "../root.js";

const SRC = join(ROOT, "src") + sep;
const ENTRIES = ["index", "remote", "local", "backend", "server", "node", "contract", "testing"];

const program = createProgram();
export const checker = program.getTypeChecker();
/** Doc comments of the public API by `file: Symbol.member`; empty for an inherited one, null for none. */
export const comments = new Map<string, string | null>();
/** Code of the `@example` blocks of the public API by `file:line`. */
export const examples = new Map<string, string>();
/** The entry that exports a name: "boxrun", "boxrun/local" and so on; the first one. */
export const entryOf = new Map<string, string>();
const visited = new Set<ts.Symbol>();

for (const entry of ENTRIES)
  for (const symbol of checker.getExportsOfModule(moduleOf(entry))) {
    if (!entryOf.has(symbol.name)) entryOf.set(symbol.name, specifierOf(entry));
    visit(symbol, symbol.name);
  }

function createProgram(): ts.Program {
  const { config } = ts.readConfigFile(join(ROOT, "tsconfig.core.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, ROOT);
  return ts.createProgram(
    ENTRIES.map((entry) => `${SRC}${entry}.ts`),
    options,
  );
}

/** How a user imports an entry. */
function specifierOf(entry: string): string {
  return entry === "index" ? "boxrun" : `boxrun/${entry}`;
}

function moduleOf(entry: string): ts.Symbol {
  const source = program.getSourceFile(`${SRC}${entry}.ts`);
  const symbol = source && checker.getSymbolAtLocation(source);
  if (!symbol) throw new Error(`${entry} is not a module`);
  return symbol;
}

/** The type of a class or interface that an entry exports by this name. */
export function exportedType(name: string): ts.Type {
  const entry = ENTRIES.find((one) => entryOf.get(name) === specifierOf(one));
  const symbol = entry && checker.getExportsOfModule(moduleOf(entry)).find((one) => one.name === name);
  if (!symbol) throw new Error(`no entry exports ${name}`);
  return checker.getDeclaredTypeOfSymbol(resolved(symbol));
}

/** The symbol itself, for one that is exported from elsewhere. */
function resolved(symbol: ts.Symbol): ts.Symbol {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/** Records a symbol of this package with its public members, and visits all types that it mentions, exported or not. */
function visit(found: ts.Symbol, name: string): void {
  const symbol = resolved(found);
  if (visited.has(symbol)) return;
  visited.add(symbol);
  for (const node of symbol.declarations ?? []) {
    if (!node.getSourceFile().fileName.startsWith(SRC) || ts.isTypeParameterDeclaration(node)) continue;
    record(node, name, symbol);
    ts.forEachChild(node, (child) => walk(child, name, ts.isFunctionLike(node)));
  }
}

/** Walks the types and members within a declaration. The comment of a function covers the inline types of its parameters and result. */
function walk(node: ts.Node, path: string, isOfFunction: boolean): void {
  if (ts.isTypeReferenceNode(node) || ts.isExpressionWithTypeArguments(node)) {
    const name = ts.isTypeReferenceNode(node) ? node.typeName : node.expression;
    const mentioned = checker.getSymbolAtLocation(name);
    if (mentioned) visit(mentioned, name.getText());
  } else if (ts.isBlock(node) || ts.isExpression(node) || isPrivate(node)) return;
  let inside = path;
  if (isMember(node) && (!isOfFunction || ts.isParameter(node)) && !isDiscriminator(node)) {
    inside = `${path}.${node.name?.getText() ?? (ts.isConstructorDeclaration(node) ? "constructor" : "()")}`;
    record(node, inside, node.name && checker.getSymbolAtLocation(node.name));
  }
  ts.forEachChild(node, (child) => walk(child, inside, isOfFunction || ts.isFunctionLike(node)));
}

function record(node: ts.Declaration, path: string, symbol: ts.Symbol | undefined): void {
  const name = `${relative(ROOT, node.getSourceFile().fileName).replaceAll("\\", "/")}: ${path}`;
  const docs = ts.getJSDocCommentsAndTags(node);
  const own = docs.map((comment) => comment.getText());
  const isInherited = symbol !== undefined && symbol.getDocumentationComment(checker).length > 0;
  // One comment is enough for all overloads, and for members of the same name in a union.
  const before = comments.get(name) ?? null;
  comments.set(name, own.length > 0 ? own.join("\n") : (before ?? (isInherited ? "" : null)));
  for (const tag of docs.filter(ts.isJSDoc).flatMap(({ tags }) => tags ?? [])) {
    if (tag.tagName.text !== "example") continue;
    const source = tag.getSourceFile();
    const line = source.getLineAndCharacterOfPosition(tag.getStart()).line + 1;
    const place = `${relative(ROOT, source.fileName).replaceAll("\\", "/")}:${line}`;
    examples.set(place, ts.getTextOfJSDocComment(tag.comment) ?? "");
  }
}

function isMember(node: ts.Node): node is ts.NamedDeclaration {
  return (
    ts.isTypeElement(node) ||
    ts.isClassElement(node) ||
    (ts.isParameter(node) && ts.isParameterPropertyDeclaration(node, node.parent))
  );
}

function isPrivate(node: ts.Node): boolean {
  const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : [];
  const isHidden = modifiers.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword);
  return isHidden || (isMember(node) && node.name !== undefined && ts.isPrivateIdentifier(node.name));
}

/** Returns true for a property with one possible value, such as the `type` of an event, which needs no comment. */
function isDiscriminator(node: ts.Node): boolean {
  return ts.isPropertySignature(node) && node.type !== undefined && ts.isLiteralTypeNode(node.type);
}
