import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const SRC = join(ROOT, "src");

/**
 * The layers of src, highest first. A file may import from lower rows and from its own group; groups of one row never import
 * each other. A name that ends in "/" is a folder. Type imports count.
 */
const ROWS: string[][] = [
  ["cli/", "testing/"],
  ["serve/"],
  ["index.ts", "node.ts"],
  ["connect.ts"],
  ["places.ts"],
  ["client.ts"],
  ["box.ts"],
  ["box-transfers.ts", "files.ts"],
  ["file-commands.ts"],
  ["scripted-files.ts"],
  ["file-types.ts"],
  ["exec.ts"],
  ["archives.ts"],
  ["execution.ts", "source.ts", "validate.ts", "local-files.ts"],
  ["exact-output.ts", "file-scripts.ts"],
  ["local/", "remote/", "server/"],
  [
    "follow-links.ts",
    "lists.ts",
    "terminal-size.ts",
    "transfer-types.ts",
    "transfers.ts",
    "wrapped-command.ts",
  ],
  ["file-paths.ts"],
  ["backend.ts"],
  ["errors.ts"],
  ["contract/"],
  ["util/"],
];

/** Inside local/, the same again. The Worker's side (machine/) meets the caller's side only in its messages. */
const LOCAL_ROWS: string[][] = [
  ["index.ts", "index-node.ts", "index-browser.ts", "make-snapshot-node.ts"],
  [
    "local-backend.ts",
    "host-node.ts",
    "host-browser.ts",
    "machine/worker-node.ts",
    "machine/worker-browser.ts",
  ],
  ["box-launcher.ts"],
  ["box-registry.ts", "image-catalog.ts", "warm-pool.ts"],
  ["capabilities.ts"],
  ["local-box.ts", "machine/worker.ts"],
  ["guest-machine.ts", "box-executions.ts"],
  ["local-terminal.ts"],
  ["local-execution.ts", "machine-handle.ts", "machine/v86-machine.ts", "box-files.ts"],
  [
    "execution-log.ts",
    "guest/",
    "host.ts",
    "signals.ts",
    "machine/disk-file-node.ts",
    "machine/disk-database-browser.ts",
    "machine/initramfs.ts",
    "machine/tick-scheduler.ts",
    "machine/v86-disk.ts",
  ],
  ["machine/needed-assets.ts"],
  ["machine/messages.ts", "machine/snapshot.ts", "machine/disks.ts", "errno.ts", "state/"],
  ["file-entries.ts", "box-clock.ts", "box-warnings.ts", "command-size.ts", "machine-hint.ts"],
  ["frames.ts"],
  ["frame-types.ts", "image-chunks.ts"],
  ["assets.ts"],
  ["frame-fields.ts", "manifest.ts", "asset-source-node.ts", "asset-source-browser.ts"],
  ["asset-source-web.ts"],
  ["asset-source.ts", "options.ts"],
];

/** Inside remote/. */
const REMOTE_ROWS: string[][] = [
  ["index.ts"],
  ["remote-backend.ts"],
  ["remote-executions.ts", "upload-plain.ts"],
  ["events.ts", "published-rules.ts"],
  ["replay-numbering.ts"],
  ["cursor-numbering.ts", "event-order.ts", "exec-outcome.ts", "failed-starts.ts"],
  ["upload.ts", "download.ts", "exec-waiter.ts", "terminal.ts", "stdin.ts", "file-operation.ts"],
  ["upload-pieces.ts"],
  ["http.ts"],
  ["upload-source.ts", "piece-scripts.ts"],
  ["incoming.ts", "unix-socket.ts", "params.ts"],
  ["failures.ts"],
  ["options.ts", "unix-agent.ts", "unix-agent-node.ts", "unix-agent-browser.ts"],
  ["web-socket.ts"],
  ["capabilities.ts", "runtime.ts"],
];

const IMPORT = /(?:from|import)\s*\(?\s*["'](\.[^"']+)["']/g;

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
  .map((name) => name.replaceAll("\\", "/"));
const imports = new Map(files.map((file) => [file, importsOf(file)]));

function importsOf(file: string): string[] {
  const text = readFileSync(join(SRC, file), "utf8");
  return [...text.matchAll(IMPORT)].map(([, specifier]) =>
    relative(SRC, resolve(SRC, dirname(file), specifier!))
      .replaceAll("\\", "/")
      .replace(/\.js$/, ".ts"),
  );
}

function place(rows: string[][], file: string): { row: number; group: string } | undefined {
  for (const [row, groups] of rows.entries()) {
    const group = groups.find((name) => file === name || (name.endsWith("/") && file.startsWith(name)));
    if (group) return { row, group };
  }
  return undefined;
}

function upward(rows: string[][], inside: string): string[] {
  const wrong: string[] = [];
  for (const [file, targets] of imports) {
    if (!file.startsWith(inside)) continue;
    const from = place(rows, file.slice(inside.length));
    if (!from) wrong.push(`${file} has no place in the layers`);
    for (const target of targets) {
      if (!target.startsWith(inside)) continue;
      const to = place(rows, target.slice(inside.length));
      if (from && to && from.group !== to.group && to.row <= from.row)
        wrong.push(`${file} imports ${target}`);
    }
  }
  return wrong;
}

describe("layers", () => {
  it("are imported downwards only, type imports included", () => {
    expect(upward(ROWS, "")).toEqual([]);
  });

  it("are imported downwards only inside local/", () => {
    expect(upward(LOCAL_ROWS, "local/")).toEqual([]);
  });

  it("are imported downwards only inside remote/", () => {
    expect(upward(REMOTE_ROWS, "remote/")).toEqual([]);
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
    expect(importing(/(?:from|import)\s*\(?\s*["']v86["']/)).toEqual(["local/machine/v86-machine.ts"]);
    expect(importing(/from\s*["']node:/).filter((file) => !/-node\.ts$|^(cli|serve)\//.test(file))).toEqual(
      [],
    );
  });

  it("load of the state, in a machine's thread, what its disk is opened with and nothing else", () => {
    const loaded = (file: string, seen = new Set<string>()): Set<string> => {
      if (seen.has(file)) return seen;
      seen.add(file);
      for (const target of imports.get(file) ?? []) loaded(target, seen);
      return seen;
    };
    const stateOf = (entry: string) => [...loaded(entry)].filter((file) => file.startsWith("local/state/"));
    expect(stateOf("local/machine/worker-node.ts")).toEqual(["local/state/failures-node.ts"]);
    expect(stateOf("local/machine/worker-browser.ts")).toEqual([
      "local/state/database-browser.ts",
      "local/state/web-lock-browser.ts",
    ]);
  });

  it("have no imports that go nowhere", () => {
    const missing = [...imports].flatMap(([file, targets]) =>
      targets.filter((target) => !imports.has(target)).map((target) => `${file} -> ${target}`),
    );
    expect(missing).toEqual([]);
  });
});
