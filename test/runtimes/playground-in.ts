import { describe, expect, inject, it, onTestFinished } from "vitest";
import { deferred } from "../../src/util/deferred.js";
import { ANSWERS, type Edits, LIMIT_MS } from "../pages/edits.js";
import type { BrowserLaunch } from "./browsers.js";
import { notRun } from "./contract-in.js";
import type { Runtime } from "./runtimes.mjs";
import { openSite } from "./site.js";

/** Opens a page of test/pages, and resolves to what it reports. */
async function reportOf<T>(runtime: Runtime, launch: BrowserLaunch, page: string): Promise<T> {
  const told = deferred<T>();
  const site = await openSite({
    project: inject("project"),
    server: undefined,
    settings: {},
    take: (report: T | { error: string }) =>
      typeof report === "object" && report && "error" in report
        ? told.reject(new Error(report.error))
        : told.resolve(report as T),
  });
  onTestFinished(() => site.close());
  const browser = launch.start({ page: `${site.url}/page.html?${page}` });
  onTestFinished(() => browser.stop());
  browser.ended.then((how) => told.reject(new Error(`${runtime.name} ended too early, ${how}`)));
  return told.promise;
}

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
