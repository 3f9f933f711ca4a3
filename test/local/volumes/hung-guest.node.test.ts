import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { underFuse, whyNoFuse } from "../../fuse.js";
import { ROOT } from "../../root.js";
import { type RunningGuest, startGuest } from "../running-guest.js";

const whySkipped = whyNoFuse();
/** Time that a call has in the volumes of this test. */
const CALL_MS = 500;
/** Time that it has otherwise. */
const USUAL_MS = 30_000;

let folder: string;
let running: RunningGuest;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-hung-"));
  const [far, near, script] = ["far", "near", "worker.mjs"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [far, near]) mkdirSync(path);
  await build({
    entryPoints: [join(import.meta.dirname, "hung/worker.ts")],
    outfile: script,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    logLevel: "warning",
  });
  const command = underFuse(far, [process.execPath, join(ROOT, "dist/node/file-process.js")]);
  running = await startGuest(
    [
      { hostPath: far, path: "/far", readonly: false },
      { hostPath: near, path: "/near", readonly: false },
    ],
    { script: pathToFileURL(script), workerData: { command, callMs: CALL_MS } },
  );
});
afterEach(async () => {
  await running?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe.skipIf(whySkipped)(
  `a volume that hangs, in a guest${whySkipped ? ` (skipped: ${whySkipped})` : ""}`,
  () => {
    it("is EIO when its time is over, for who waits and for who comes later, and the others live", async () => {
      const { shell } = running;
      expect(await shell("cat /far/hello")).toBe("hello\n0");
      const begun = performance.now();
      const waiting = shell("ls /far/stuck");
      while (!existsSync(join(folder, "far.asked"))) await shell("true");
      const starting = shell("true", "/far/directory").catch(({ message }) => message);
      expect(await shell("echo lives > /near/new; cat /near/new")).toBe("lives\n0");
      expect(await waiting).toMatch(/Input\/output error\n1$|I\/O error\n1$/);
      expect(await starting).toBe("/far/directory: 5");
      expect(await shell("cat /far/hello")).toMatch(/rror\n1$/);
      await expect(shell("true", "/far/later")).rejects.toThrow("/far/later: 5");
      expect(await shell("echo more >> /near/new")).toBe("0");
      expect(performance.now() - begun).toBeLessThan(USUAL_MS);
      expect(readFileSync(join(folder, "near/new"), "utf8")).toBe("lives\nmore\n");
    });

    it("holds what is killed until its time is over", async () => {
      const begun = performance.now();
      const { shell } = running;
      expect(await shell("ls /far/stuck & sleep 0.1; kill -9 $!; wait $!")).toBe("Killed\n137");
      expect(await shell("echo lives")).toBe("lives\n0");
      expect(performance.now() - begun).toBeLessThan(USUAL_MS);
    });
  },
);
