import { describe, expect, inject, it, onTestFinished } from "vitest";
import { deferred } from "../../src/util/deferred.js";
import { ANSWERS, type Edits, LIMIT_MS } from "../pages/edits.js";
import type { BrowserLaunch } from "./browsers.js";
import { notRun } from "./contract-in.js";
import type { Runtime } from "./runtimes.mjs";
import { openSite } from "./site.js";

/** Declares a test of an editor and a program in a box that share files: see test/pages/edits.ts. */
export function playgroundIn(runtime: Runtime, launch: BrowserLaunch): void {
  const name = `a playground in ${runtime.name}, from the packed tarball`;
  if (runtime.missing !== undefined) return notRun(name, runtime.missing);
  describe(name, () => {
    it("carries an edit of the page to a program in the box, and its answer back, within 100 ms", async () => {
      const told = deferred<Edits>();
      const site = await openSite({
        project: inject("project"),
        server: undefined,
        settings: {},
        take: (report: Edits | { error: string }) =>
          "error" in report ? told.reject(new Error(report.error)) : told.resolve(report),
      });
      onTestFinished(() => site.close());
      const browser = launch.start({ page: `${site.url}/page.html?playground` });
      onTestFinished(() => browser.stop());
      browser.ended.then((how) => told.reject(new Error(`${runtime.name} ended too early, ${how}`)));
      const { answers, medianMs } = await told.promise;
      expect(answers).toEqual(ANSWERS);
      expect(medianMs).toBeLessThan(LIMIT_MS);
    });
  });
}
