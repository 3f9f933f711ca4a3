import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../root.js";

const SRC = join(ROOT, "src");

/**
 * The folders of src, highest first. A file may import from lower rows and from its own folder; folders of one row never import each other. Type imports count, and so do imports of
 * this package by its own name. A folder counts without those in it; the files beside them are the package's entries.
 */
const ROWS: string[][] = [
  ["testing.ts"],
  ["cli", "remote.ts", "testing/contract"],
  ["testing"],
  ["index.ts", "node.ts"],
  ["client", "server/node"],
  ["files"],
  ["exec"],
  ["local.ts", "local-node.ts", "local-browser.ts", "remote", "server.ts"],
  ["local-exports.ts"],
  ["local/boxes", "remote/events", "remote/transfer", "server"],
  ["local/host", "remote/http"],
  ["local/guest", "local/machine", "local/network", "local/network/gateway", "local/network/secrets"],
  ["local/network/http"],
  ["local/assets", "local/network/tls", "local/protocol", "local/store", "local/volumes"],
  ["network", "ports", "sockets"],
  ["backend.ts", "preview"],
  ["backend"],
  ["contract.ts"],
  ["contract"],
  ["util"],
];

/** What this package calls itself by, and the files that it gets. */
const OWN_NAMES: Record<string, string[]> = {
  boxrun: ["index.ts"],
  "boxrun/local": ["local.ts", "local-exports.ts", "local-node.ts", "local-browser.ts"],
  "boxrun/unix-agent": [
    "sockets/unix-agent.ts",
    "sockets/unix-agent-node.ts",
    "sockets/unix-agent-browser.ts",
  ],
};

const IMPORT = /(?:from|import)\s*\(?\s*["']((?:\.|boxrun\b)[^"']*)["']/g;

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
  .map((name) => name.replaceAll("\\", "/"));
const imports = new Map(files.map((file) => [file, importsOf(file)]));

function importsOf(file: string): string[] {
  const code = readFileSync(join(SRC, file), "utf8").replace(/^\s*(\/\*\*|\*|\/\/).*$/gm, "");
  return [...code.matchAll(IMPORT)].flatMap(([, specifier]) => {
    if (!specifier!.startsWith(".")) return OWN_NAMES[specifier!] ?? [specifier!];
    const path = relative(SRC, resolve(SRC, dirname(file), specifier!));
    return [path.replaceAll("\\", "/").replace(/\.js$/, ".ts")];
  });
}

const roomOf = (file: string) => (file.includes("/") ? dirname(file) : file);
const rowOf = (file: string) => ROWS.findIndex((rooms) => rooms.includes(roomOf(file)));

describe("layers", () => {
  it("have a row for each room", () => {
    expect(files.filter((file) => rowOf(file) < 0)).toEqual([]);
    expect(ROWS.flat().filter((room) => !files.some((file) => roomOf(file) === room))).toEqual([]);
  });

  it("are imported downwards only, type imports included", () => {
    const upward = [...imports].flatMap(([file, targets]) =>
      targets
        .filter((target) => roomOf(file) !== roomOf(target) && rowOf(target) <= rowOf(file))
        .map((target) => `${file} imports ${target}`),
    );
    expect(upward).toEqual([]);
  });

  it("have no import circles, type imports included", () => {
    const circles: string[] = [];
    const done = new Set<string>();
    const visit = (file: string, path: string[]) => {
      if (path.includes(file))
        return void circles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
      if (done.has(file)) return;
      for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(circles).toEqual([]);
  });

  it("let only one file import v86, and none below the entries for Node import node:", () => {
    const importing = (pattern: RegExp) =>
      files.filter((file) => pattern.test(readFileSync(join(SRC, file), "utf8")));
    expect(importing(/(?:from|import)\s*\(?\s*["']v86["'/]/)).toEqual(["local/machine/v86-machine.ts"]);
    expect(
      importing(/(?:from|import)\s*\(?\s*["']node:/).filter(
        (file) => !/-node\.ts$|^(cli|server\/node)\//.test(file),
      ),
    ).toEqual([]);
  });

  it("load of the state, in a machine's thread, what its disk is opened with and nothing else", () => {
    const loaded = (file: string, seen = new Set<string>()): Set<string> => {
      if (seen.has(file)) return seen;
      seen.add(file);
      for (const target of imports.get(file) ?? []) loaded(target, seen);
      return seen;
    };
    const stateOf = (entry: string) => [...loaded(entry)].filter((file) => file.startsWith("local/store/"));
    expect(stateOf("local/machine/worker-node.ts")).toEqual(["local/store/failures-node.ts"]);
    expect(stateOf("local/machine/worker-browser.ts")).toEqual([
      "local/store/database-browser.ts",
      "local/store/web-lock-browser.ts",
    ]);
  });

  it("have no imports that go nowhere", () => {
    const missing = [...imports].flatMap(([file, targets]) =>
      targets.filter((target) => !imports.has(target)).map((target) => `${file} -> ${target}`),
    );
    expect(missing).toEqual([]);
  });
});
