import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, transformSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { snippets } from "../docs/pages.js";
import { ROOT } from "../root.js";
import { exampleSnippets, NODE, VITEST } from "./examples.js";
import { linkImage, pack, unpackTo } from "./packages.js";

const TSC = join(ROOT, "node_modules/typescript/bin/tsc");

/** A project of a user's, with the package as it would be published in its node_modules. */
const project = mkdtempSync(join(tmpdir(), "boxrun-pack-"));

beforeAll(async () => {
  unpackTo(pack(project), join(project, "node_modules/boxrun"));
  writeFileSync(join(project, "package.json"), '{"type":"module"}');
  // The docs have examples with it.
  await linkImage("debian", project);
});
afterAll(() => rmSync(project, { recursive: true }));

/** The name of a snippet's file, without its extension: "docs-guide-files-md-12". */
const nameOf = (place: string) => place.replace(/[^\w]+/g, "-");

/** A snippet as a module of its own. */
function asModule(code: string): string {
  const lines = ['import { BoxRunClient as Client, type BoxHandle as Handle } from "boxrun";'];
  if (!code.includes("import {")) lines.push('import { BoxRunClient } from "boxrun";');
  if (!/const client\b/.test(code)) lines.push("declare const client: Client;");
  if (!/\b(const|using) box\b/.test(code)) lines.push("declare const box: Handle;");
  return `${lines.join("\n")}\n${code}\nexport type { Client, Handle };\n`;
}

/** What a user's project may do with the types, beside what the docs show. */
const TYPED = `
import { type Backend, BoxRunClient, type Execution, type ExecutionWithStdin } from "boxrun";
import { type RouteName, wireBox } from "boxrun/contract";
import { createLocalBackend } from "boxrun/local";
import { serve } from "boxrun/node";
import { BoxRunClient as RemoteClient, type BoxHandle } from "boxrun/remote";
import { createHandler } from "boxrun/server";
import { FakeBackend } from "boxrun/testing";

const backend: Backend = createLocalBackend({ logLimitBytes: 1 });
export const client = new BoxRunClient({ backend });
export const box = await client.create("tiny");
const options = { stdin: true, detached: true } as const;
const sort: ExecutionWithStdin = await box.execStream(["sort"], options);
await sort.stdin.getWriter().close();
const found: Execution = sort;
// @ts-expect-error: it may have none.
await found.stdin.getWriter().close();
// @ts-expect-error: it has none.
await (await box.execStream(["sort"])).stdin.getWriter().close();
export const read = wireBox.parse({});
// @ts-expect-error: a schema that were of type any would let this pass.
read.noSuchField;
// @ts-expect-error: the same of a route.
export const route: RouteName = "noSuchRoute";
const edge: BoxRunClient = new RemoteClient({ baseUrl: "http://127.0.0.1:9090", token: async () => "secret" });
export const edgeBox: BoxHandle = await edge.create("tiny");
// @ts-expect-error: it does not look for a server.
export const nowhere = new RemoteClient({ token: "secret" });
// @ts-expect-error: one or the other.
export const both = new RemoteClient({ baseUrl: "http://127.0.0.1:9090", socketPath: "/run/boxrun.sock" });
// @ts-expect-error: it has no local boxes.
export const local = new RemoteClient({ baseUrl: "http://127.0.0.1:9090", local: {} });
export const all = [serve, createHandler, FakeBackend];
`;

/** As strict as a compiler gets; what libraries declare is checked, too. */
const STRICT = [
  "--noEmit",
  "--strict",
  "--exactOptionalPropertyTypes",
  "--noUncheckedIndexedAccess",
  "--noImplicitOverride",
  "--noPropertyAccessFromIndexSignature",
  "--skipLibCheck",
  "false",
];

/** What the snippets take for granted: a client, a box, and what is in it. As globals, which a snippet's own names hide. */
const SETTING = `
import { BoxRunClient } from "boxrun";

const client = new BoxRunClient({ backend: "local" });
const box = await client.create("tiny", { memoryMb: 256 });
await box.upload(new Blob(["#!/bin/sh\\ncat > /dev/null\\n"]), "/usr/local/bin/make", { mode: 0o755 });
await box.upload(new Blob(["x"]), "/src/x");
await box.upload(new Blob(["x"]), "/root/out.tar");
Object.assign(globalThis, { BoxRunClient, client, box });
`;

describe("the package", () => {
  const tool = (name: string, ...args: string[]) =>
    execFileSync(join(ROOT, "node_modules/.bin", name), args, { cwd: ROOT, stdio: "pipe", encoding: "utf8" });

  it.each(["size-limit", "knip"])("is found in order by %s", (name) => {
    // What is wrong is in what the tool prints, which is the error's message.
    tool(name);
  });

  it.each(["nodenext", "bundler", "node10"])(
    "has types that resolve under %s, and the snippets of the docs and of doc comments compile",
    (resolution) => {
      const names = [...snippets(), ...exampleSnippets()].map(({ place, code }) => {
        writeFileSync(join(project, `${nameOf(place)}.ts`), asModule(code));
        return `${nameOf(place)}.ts`;
      });
      writeFileSync(join(project, "typed.ts"), TYPED);
      writeFileSync(join(project, "vitest.d.ts"), VITEST);
      writeFileSync(join(project, "node.d.ts"), NODE);
      for (const folder of ["README", "docs-guide", "docs-reference", "src"])
        expect(names.some((name) => name.startsWith(folder))).toBe(true);
      const module = resolution === "nodenext" ? "nodenext" : "esnext";
      const args = [...STRICT, "--target", "es2022", "--lib", "es2022,dom,dom.asynciterable"];
      const old = resolution === "node10" ? ["--ignoreDeprecations", "6.0"] : [];
      const output = (() => {
        try {
          const files = [...names, "typed.ts", "vitest.d.ts", "node.d.ts"];
          return execFileSync(
            process.execPath,
            [TSC, ...args, ...old, "--module", module, "--moduleResolution", resolution, ...files],
            { cwd: project, encoding: "utf8" },
          );
        } catch (error) {
          return (error as { stdout: string }).stdout;
        }
      })();
      expect(output).toBe("");
    },
  );

  it.each([
    [{ platform: "neutral" }, "browser"],
    [{ platform: "neutral", conditions: ["workerd", "worker", "browser"] }, "browser"],
    [{ platform: "neutral", conditions: ["edge-light", "node"] }, "browser"],
    [{ platform: "browser" }, "browser"],
    [{ platform: "node" }, "node"],
  ] as const)("gives a bundler for %o the build for %s", async (target, folder) => {
    const entries = ["", "/remote", "/local", "/backend", "/server", "/contract", "/testing"];
    const { metafile } = await build({
      ...(target as object),
      stdin: {
        contents: entries.map((entry, i) => `export * as e${i} from "boxrun${entry}";`).join(""),
        resolveDir: project,
      },
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      outdir: "out",
      absWorkingDir: project,
      logLevel: "silent",
    });
    const builds = Object.keys(metafile.inputs).map((file) => /boxrun\/dist\/(\w+)\//.exec(file)?.[1]);
    expect([...new Set(builds.filter(Boolean))]).toEqual([folder]);
  });

  it("leaves local boxes, and what needs Node, out of an edge function with boxrun/remote", async () => {
    const { outputFiles } = await build({
      stdin: { contents: 'export * from "boxrun/remote";', resolveDir: project },
      conditions: ["workerd", "worker", "browser"],
      platform: "neutral",
      bundle: true,
      write: false,
      format: "esm",
      absWorkingDir: project,
      // An import that is not in the bundle is an error.
      logLevel: "silent",
    });
    const code = outputFiles[0]!.text;
    expect(code).toContain("/v1/boxes");
    expect(code).not.toMatch(/createLocalBackend|machine-worker|BOXRUN_SOCKET|O_NONBLOCK|node:/);
  });

  it("runs a box from where it is installed, with nothing installed beside it", () => {
    const script =
      'import { BoxRunClient } from "boxrun"; const client = new BoxRunClient({ backend: "local" });' +
      'console.log((await client.run("tiny", "echo installed", { memoryMb: 256 })).stdout.trim());';
    writeFileSync(join(project, "main.mjs"), script);
    expect(execFileSync(process.execPath, ["main.mjs"], { cwd: project, encoding: "utf8" })).toBe(
      "installed\n",
    );
  });

  it.each(snippets().filter(({ runs }) => runs))("runs the snippet at $place", ({ place, code }) => {
    writeFileSync(join(project, "data.csv"), "a,b\n");
    mkdirSync(join(project, "project/out"), { recursive: true });
    writeFileSync(join(project, "project/out/result"), "done\n");
    writeFileSync(join(project, "setting.mjs"), SETTING);
    writeFileSync(
      join(project, `${nameOf(place)}.mjs`),
      `${transformSync(code, { loader: "ts", target: "node20" }).code}\nprocess.exit(0);\n`,
    );
    const env = {
      ...process.env,
      BOXRUN_STATE_DIR: join(project, `state-${nameOf(place)}`),
    };
    // What a snippet throws is in the error's message.
    execFileSync(process.execPath, ["--import", "./setting.mjs", `${nameOf(place)}.mjs`], {
      cwd: project,
      env,
      stdio: "pipe",
      timeout: 50_000,
    });
  });

  it("serves a backend from where it is installed, by boxrun/node", () => {
    const script =
      'import { BoxRunClient } from "boxrun"; import { serve } from "boxrun/node"; import { FakeBackend } from "boxrun/testing";' +
      'const server = await serve(new FakeBackend({ programs: { hi: ({ write }) => write("hi") } }), { port: 0 });' +
      'const client = new BoxRunClient({ backend: "remote", baseUrl: server.addresses[0] });' +
      'console.log((await client.run("fake", ["hi"])).stdout); await client.close(); await server.close();';
    writeFileSync(join(project, "serve.mjs"), script);
    expect(execFileSync(process.execPath, ["serve.mjs"], { cwd: project, encoding: "utf8" })).toBe("hi\n");
  });

  it("has no file that is not needed, and no dependency", () => {
    const installed = join(project, "node_modules/boxrun");
    expect(readdirSync(installed).sort()).toEqual(["LICENSE", "NOTICE", "README.md", "dist", "package.json"]);
    expect(readdirSync(join(installed, "dist")).sort()).toEqual([
      "assets",
      "browser",
      "node",
      "preview",
      "site",
      "types",
    ]);
    const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
    expect(dependencies).toBeUndefined();
  });
});
