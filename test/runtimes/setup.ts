import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import type { TestProject } from "vitest/node";
import { pack, unpackTo } from "../package/packages.js";
import { ROOT } from "../root.js";

declare module "vitest" {
  interface ProvidedContext {
    /** A project of a user's: the package as it would be published in its node_modules, and what runtimes run beside it. */
    project: string;
  }
}

const EXAMPLES = ["cloudflare-worker", "deno-function"];

/** Packs the package and installs it, once for all runtimes. */
export default async function setUp(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), "boxrun-runtimes-"));
  install(folder);
  cpSync(join(import.meta.dirname, "page.html"), join(folder, "page.html"));
  await bundle(folder);
  project.provide("project", folder);
  return () => rmSync(folder, { recursive: true });
}

function install(folder: string): void {
  const tarball = pack(folder);
  unpackTo(tarball, join(folder, "node_modules/boxrun"));
  rmSync(tarball);
  writeFileSync(join(folder, "package.json"), '{"type":"module","dependencies":{"boxrun":"*"}}');
}

/** What runs in the runtimes, in JavaScript. They find the package themselves, each in its own way. */
async function bundle(folder: string): Promise<void> {
  const shared = { bundle: true, format: "esm", target: "es2022", logLevel: "warning" } as const;
  const entries = [
    ...["in-process", "in-page", "in-worker", "local-in-worker", "hung-volume-in-process"].map((name) =>
      join(import.meta.dirname, `${name}.ts`),
    ),
    ...[
      "dev-server",
      "folders",
      "gateway",
      "git",
      "git-by-fetch",
      "kept",
      "playground",
      "preview",
      "relay",
    ].map((name) => join(ROOT, `test/pages/${name}.mjs`)),
    ...EXAMPLES.map((name) => join(ROOT, `demo/edge/${name}.ts`)),
  ];
  await build({
    ...shared,
    entryPoints: entries,
    entryNames: "[name]",
    external: ["boxrun", "boxrun/*", "node:*"],
    outdir: folder,
  });
  // A Worker is one module: its tools bundle it, under these conditions of the package's exports.
  await build({
    ...shared,
    entryPoints: ["in-worker", "local-in-worker", "cloudflare-worker"].map((name) =>
      join(folder, `${name}.js`),
    ),
    conditions: ["workerd", "worker", "browser"],
    outdir: join(folder, "workerd"),
  });
}
