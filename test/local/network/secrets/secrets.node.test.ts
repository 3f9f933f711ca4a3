import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, expect, it } from "vitest";
import { ROOT } from "../../../root.js";
import { startProcess } from "../../../runtimes/launch.js";
import { makeCertificates } from "../certificates.js";

const folder = mkdtempSync(join(tmpdir(), "boxrun-secrets-"));
const script = join(ROOT, "test/local/network/secrets/.secrets-in-process.mjs");
afterAll(() => {
  rmSync(folder, { recursive: true });
  rmSync(script, { force: true });
});

it("puts secrets into the requests of programs that never have them", async () => {
  await makeCertificates(folder, [
    "api.example.com",
    "other.example.com",
    "false.example.com",
    "silent.example.com",
  ]);
  // Beside its source, so that it finds the package.
  await build({
    entryPoints: [join(import.meta.dirname, "secrets-in-process.ts")],
    outfile: script,
    bundle: true,
    external: ["boxrun"],
    platform: "node",
    format: "esm",
    logLevel: "error",
  });
  let output = "";
  const { ended } = startProcess(process.execPath, [script], {
    cwd: folder,
    env: { NODE_EXTRA_CA_CERTS: join(folder, "ca.pem") },
    onOutput: (text) => (output += text),
  });
  expect(await ended).toBe("with code 0");
  expect(JSON.parse(output)).toEqual({
    curl: ["welcome\n", "api.example.com Bearer sk-the-real-value"],
    python: ["welcome\n\n", "Bearer sk-the-real-value"],
    "another server": ["welcome\n", "other.example.com Bearer PLACEHOLDER"],
    "a server that nobody trusts": [
      expect.stringMatching(/^boxrun: no encrypted connection to false.example.com: .+\n$/),
    ],
    "a server that is denied": [expect.stringContaining("curl: (7)")],
    // The process of the box's owner lives on.
    "killed while it sends": expect.stringMatching(/137\n$/),
    "in the box": "PLACEHOLDER\n",
    "kept in a file": [false, true],
    "start without": "VALIDATION_ERROR",
    "after getOrCreate": ["welcome\n", "api.example.com Bearer sk-the-real-value"],
    // One of ours at a time, however often the box starts.
    authorities: [0, 1, 1],
    "in texts": false,
  });
}, 180_000);
