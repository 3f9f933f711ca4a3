import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, inject, it } from "vitest";
import { underFuse, whyNoFuse } from "../fuse.js";
import { type Running, startProcess } from "./launch.js";
import { bun, deno, node } from "./runtimes.mjs";

/** Everything but the start of a volume that hangs takes seconds at most. Nothing waits for the 30 that a request has. */
const IN_ALL_MS = 60_000;

let folder: string;
let running: Running | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-hung-"));
});
afterEach(async () => {
  await running?.stop();
  rmSync(folder, { recursive: true });
});

const whySkipped = whyNoFuse();
for (const { runtime, args } of [
  { runtime: node, args: [] },
  { runtime: deno, args: ["run", "--no-remote", "--no-prompt", "--allow-all"] },
  { runtime: bun, args: [] },
]) {
  const missing = ("missing" in runtime ? runtime.missing : undefined) ?? whySkipped;
  it.skipIf(missing)(
    `a volume that hangs holds neither its box nor the process in ${runtime.name}${missing ? `: ${missing}` : ""}`,
    async () => {
      const [hanging, near] = [join(folder, "hanging"), join(folder, "near")];
      for (const path of [hanging, near]) mkdirSync(path);
      const script = join(inject("project"), "hung-volume-in-process.js");
      const begun = performance.now();
      let output = "";
      running = startProcess(...underFuse(hanging, [runtime.path, ...args, script, hanging, near]), {
        cwd: inject("project"),
        onOutput: (text) => (output += text),
      });
      expect([await running.ended, output]).toEqual(["with code 0", expect.stringMatching(/^\{/)]);
      expect(JSON.parse(output)).toEqual({
        before: "hello\n",
        watch: "watch /far: not supported by its file system (EOPNOTSUPP)",
        meanwhile: "box\nvolume\ndisk\n",
        "a call that is aborted": "enough",
        "beside a command that starts there": "box\n",
        "a command that waits when its box stops": "BOX_NOT_RUNNING",
        "a command that waits when its box is removed": "BOX_NOT_FOUND",
        "a directory that does not answer": [
          "VALIDATION_ERROR",
          expect.stringContaining('"/stuck" did not answer within 10 s'),
        ],
        soon: { answersSoon: true, abortsSoon: true, startsSoon: true, stopsSoon: true, removesSoon: true },
      });
      expect(readFileSync(join(near, "new"), "utf8")).toBe("volume\n");
      expect(performance.now() - begun).toBeLessThan(IN_ALL_MS);
    },
  );
}
