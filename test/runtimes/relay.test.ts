import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, expect, it } from "vitest";
import { ROOT } from "../root.js";
import { startProcess } from "./launch.js";
import { findClosedPort, startRelay, startServer } from "./relay-servers.js";
import { bun, deno, node } from "./runtimes.mjs";

const folder = mkdtempSync(join(tmpdir(), "boxrun-relay-"));
afterAll(() => rmSync(folder, { recursive: true }));

const ARGUMENTS = [
  { runtime: node, args: [] },
  { runtime: deno, args: ["run", "--no-remote", "--no-prompt", "--allow-net=127.0.0.1"] },
  { runtime: bun, args: [] },
];

for (const { runtime, args } of ARGUMENTS) {
  const missing = "missing" in runtime ? runtime.missing : undefined;
  it.skipIf(missing)(
    `connections by a relay are the same in ${runtime.name}${missing ? `: ${missing}` : ""}`,
    async () => {
      const outfile = join(folder, "relay.mjs");
      await build({
        entryPoints: [join(import.meta.dirname, "relay-in-process.ts")],
        outfile,
        alias: { "boxrun/unix-agent": join(ROOT, "src/sockets/unix-agent-node.ts") },
        banner: {
          js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
        },
        bundle: true,
        platform: "node",
        format: "esm",
        logLevel: "error",
      });
      const { url } = await startRelay();
      const echo = await startServer((socket) => socket.pipe(socket));
      let output = "";
      const { ended } = startProcess(
        runtime.path,
        [...args, outfile, url, `${echo}`, `${await findClosedPort()}`],
        {
          cwd: folder,
          onOutput: (text) => (output += text),
        },
      );
      expect(await ended).toBe("with code 0");
      expect(JSON.parse(output)).toEqual({
        echo: 8 * 2 ** 20,
        refused: "ECONNREFUSED",
        denied: "EACCES",
        unauthorized: "ENETUNREACH",
      });
    },
  );
}
