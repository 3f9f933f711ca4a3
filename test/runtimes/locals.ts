import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { type BrowserLaunch, inFirefox, inWebKit } from "./browsers.js";
import { inProcess, type Launch } from "./launch.js";
import { bun, deno, firefox, type Runtime, webkit } from "./runtimes.mjs";

/** A runtime that runs the contract with boxes of its own. */
export interface Local {
  runtime: Runtime;
  launch: Launch;
  /** Makes what the boxes need for the length of the tests: the client's state, and a directory that they may mount. */
  places(): { state: string; hostDirectory?: string };
}

/** Groups of the contract that differ by what a host gives a box: threads, storage, clocks, memory and directories. All other groups differ by the guest alone. */
export const HOST = ["boxes", "life", "exec", "files", "terminals", "ports", "volumes", "trouble"] as const;

/** What docs/guide/browsers.md says that it needs, and the way to who listens to the results. */
const DENO = [
  ...["run", "--no-remote", "--no-prompt", "--allow-read", "--allow-write", "--allow-env"],
  ...["--allow-sys=hostname,homedir", "--allow-net=127.0.0.1"],
];

const inProcessOf = (runtime: Runtime, args?: readonly string[]): Local => ({
  runtime,
  launch: inProcess(runtime.path, args),
  places: () => {
    const folder = (name: string) => {
      const path = mkdtempSync(join(tmpdir(), `boxrun-${name}-`));
      afterAll(() => rmSync(path, { recursive: true, force: true }));
      return path;
    };
    return { state: folder("state"), hostDirectory: folder("shared") };
  },
});
const inPageOf = (runtime: Runtime, launch: BrowserLaunch): Local => ({
  runtime,
  launch,
  places: () => ({ state: "contract" }),
});

export const LOCALS = {
  bun: inProcessOf(bun),
  deno: inProcessOf(deno, DENO),
  firefox: inPageOf(firefox, inFirefox),
  webkit: inPageOf(webkit, inWebKit),
} satisfies Record<string, Local>;
