import { describe, expect, it } from "vitest";
import { ANSWERS, type Edits, LIMIT_MS } from "../pages/edits.js";
import type { BrowserLaunch } from "./browsers.js";
import { notRun } from "./contract-in.js";
import { reportOf } from "./report-of.js";
import type { Runtime } from "./runtimes.mjs";

/** Declares a test of an editor and a program in a box that share files: see test/pages/edits.ts. */
export function playgroundIn(runtime: Runtime, launch: BrowserLaunch): void {
  const name = `a playground in ${runtime.name}, from the packed tarball`;
  if (runtime.missing !== undefined) return notRun(name, runtime.missing);
  describe(name, () => {
    it("carries an edit of the page to a program in the box, and its answer back, within 100 ms", async () => {
      const { answers, medianMs } = await reportOf<Edits>(runtime, launch, "playground");
      expect(answers).toEqual(ANSWERS);
      expect(medianMs).toBeLessThan(LIMIT_MS);
    });
  });
}

/** Declares a test of a folder of a page that is a volume: see test/pages/folders.ts. */
export function foldersIn(runtime: Runtime, launch: BrowserLaunch): void {
  const name = `a folder of a page in ${runtime.name}, from the packed tarball`;
  if (runtime.missing !== undefined) return notRun(name, runtime.missing);
  describe(name, () => {
    it("is mounted: both sides see what the other writes", async () => {
      expect(await reportOf<unknown[]>(runtime, launch, "folders")).toEqual([]);
    });
  });
}
