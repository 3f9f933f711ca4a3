import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, expect, it } from "vitest";
import { startProcess } from "./launch.js";
import { bun, deno, node } from "./runtimes.mjs";

const folder = mkdtempSync(join(tmpdir(), "boxrun-dialer-"));
afterAll(() => rmSync(folder, { recursive: true }));

const ARGUMENTS = [
  { runtime: node, args: [] },
  { runtime: deno, args: ["run", "--no-remote", "--no-prompt", "--allow-net=127.0.0.1,127.0.0.2,localhost"] },
  { runtime: bun, args: [] },
];

for (const { runtime, args } of ARGUMENTS) {
  const missing = "missing" in runtime ? runtime.missing : undefined;
  it.skipIf(missing)(
    `connections of a box are the same in ${runtime.name}${missing ? `: ${missing}` : ""}`,
    async () => {
      const outfile = join(folder, "dialer.mjs");
      const entry = join(import.meta.dirname, "dialer-in-process.ts");
      await build({
        entryPoints: [entry],
        outfile,
        bundle: true,
        platform: "node",
        format: "esm",
        logLevel: "error",
      });
      let output = "";
      const { ended } = startProcess(runtime.path, [...args, outfile], {
        cwd: folder,
        onOutput: (text) => (output += text),
      });
      expect(await ended).toBe("with code 0");
      expect(JSON.parse(output)).toEqual({
        "echo, this side ends first": "hello",
        "the far side ends first": ["bye", "late"],
        "reset by the far side": "ECONNRESET",
        canceled: "ECONNRESET",
        aborted: "ECONNRESET",
        refused: "ECONNREFUSED",
        "a server that does not read": [true, 64 * 2 ** 20],
        "the second of two addresses": "second",
        "a name that exists": true,
      });
    },
  );
}
