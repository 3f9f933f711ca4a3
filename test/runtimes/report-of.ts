import { inject, onTestFinished } from "vitest";
import { deferred } from "../../src/util/deferred.js";
import type { BrowserLaunch } from "./browsers.js";
import type { Runtime } from "./runtimes.mjs";
import { openSite } from "./site.js";

/**
 * Opens a page of test/pages in a browser until the test has ended. Returns what it reports.
 *
 * @param settingsOf Returns what the page gets as its settings, for the URL of its own site.
 * @throws {Error} when the page reports an error, or when the browser ends before it has reported
 */
export async function reportOf<Report>(
  runtime: Pick<Runtime, "name">,
  launch: BrowserLaunch,
  page: string,
  settingsOf: (site: string) => object | Promise<object> = () => ({}),
): Promise<Report> {
  const told = deferred<Report>();
  const settings = {};
  const site = await openSite({
    project: inject("project"),
    server: undefined,
    settings,
    take: (report: Report | { error: string }) =>
      typeof report === "object" && report && "error" in report
        ? told.reject(new Error(report.error))
        : told.resolve(report as Report),
  });
  onTestFinished(() => site.close());
  Object.assign(settings, await settingsOf(site.url));
  const browser = launch.start({ page: `${site.url}/page.html?${page}` });
  onTestFinished(() => browser.stop());
  browser.ended.then((how) => told.reject(new Error(`${runtime.name} ended too early, ${how}`)));
  return told.promise;
}
