import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeCertificates } from "../local/network/certificates.js";
import { startProcess } from "./launch.js";
import { bun, deno, node } from "./runtimes.mjs";

const folder = mkdtempSync(join(tmpdir(), "boxrun-tls-"));
const outfile = join(folder, "tls-client.mjs");
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(async () => {
  await makeCertificates(folder, ["api.example.com"]);
  await build({
    entryPoints: [join(import.meta.dirname, "tls-client-in-process.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "error",
  });
});

const ARGUMENTS = [
  { runtime: node, args: [] },
  { runtime: deno, args: ["run", "--no-remote", "--no-prompt", "--allow-net=127.0.0.1", "--allow-read=."] },
  { runtime: bun, args: [] },
];

for (const { runtime, args } of ARGUMENTS) {
  const missing = "missing" in runtime ? runtime.missing : undefined;
  it.skipIf(missing)(
    `TLS over a connection is the same in ${runtime.name}${missing ? `: ${missing}` : ""}`,
    async () => {
      const authority = join(folder, "ca.pem");
      let output = "";
      const { ended } = startProcess(runtime.path, [...args, outfile], {
        cwd: folder,
        env: { NODE_EXTRA_CA_CERTS: authority, DENO_CERT: authority },
        onOutput: (text) => (output += text),
      });
      expect(await ended).toBe("with code 0");
      expect(JSON.parse(output)).toEqual({
        "bytes both ways": 8 * 2 ** 20,
        "the protocol and the name that the server sees": ["http/1.1", "api.example.com"],
        "a certificate for another name": "ERR_TLS_CERT_ALTNAME_INVALID",
        "a certificate that nobody trusts": true,
        "a server that speaks no TLS": true,
        "a server that hangs up": true,
        "canceled: the server sees the end": true,
        "aborted while a write is under way": true,
      });
    },
  );
}
