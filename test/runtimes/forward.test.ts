import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, expect, it } from "vitest";
import { startProcess } from "./launch.js";
import { bun, deno, node } from "./runtimes.mjs";

const folder = mkdtempSync(join(tmpdir(), "boxrun-forward-"));
afterAll(() => rmSync(folder, { recursive: true }));

const ARGUMENTS = [
  { runtime: node, args: [] },
  { runtime: deno, args: ["run", "--no-remote", "--no-prompt", "--allow-net=127.0.0.1", "--allow-env"] },
  { runtime: bun, args: [] },
];

for (const { runtime, args } of ARGUMENTS) {
  const missing = "missing" in runtime ? runtime.missing : undefined;
  it.skipIf(missing)(
    `a port of this machine leads to a box in ${runtime.name}${missing ? `: ${missing}` : ""}`,
    async () => {
      const outfile = join(folder, "forward.mjs");
      await build({
        entryPoints: [join(import.meta.dirname, "forward-in-process.ts")],
        outfile,
        bundle: true,
        platform: "node",
        format: "esm",
        logLevel: "error",
        external: ["boxrun/*"],
      });
      let output = "";
      const { ended } = startProcess(runtime.path, [...args, outfile], {
        cwd: folder,
        onOutput: (text) => (output += text),
      });
      expect([await ended, output]).toEqual(["with code 0", expect.stringMatching(/^\{/)]);
      expect(JSON.parse(output)).toEqual({
        "a question and its answer": "1000000 bytes",
        "a port in use": "cannot listen on 127.0.0.1:PORT: the port is in use (hostPort 0 is a free one)",
        "a connection when its box is removed": "cut",
      });
    },
  );
}
