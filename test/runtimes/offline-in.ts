import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { deferred } from "../../src/util/deferred.js";
import { ROOT } from "../root.js";
import type { BrowserLaunch } from "./browsers.js";
import { notRun } from "./contract-in.js";
import type { Runtime } from "./runtimes.mjs";
import { listen, serveStatic } from "./static-host.js";

const WROTE = { wrote: "kept\nexit code 0" };
const READ = { read: expect.stringMatching(/^kept\n\d+\nexit code 0$/) };

/** Visits of the site: one that creates a box, or one that creates none, and two more when its server is gone. */
const VISITS = {
  "a box": { query: "?boxFirst", reports: [WROTE, READ, READ] },
  none: { query: "?", reports: [{}, WROTE, READ] },
} as const;

/** Declares tests of the folder that `boxrun site` writes, from any host of static files, and then without one. */
export function offlineIn(
  runtime: Runtime,
  launch: BrowserLaunch,
  first: readonly (keyof typeof VISITS)[],
): void {
  const name = `the folder of boxrun site in ${runtime.name}, from the packed tarball`;
  if (runtime.missing !== undefined) return notRun(name, runtime.missing);
  describe(name, () => {
    it.each(first)(
      "has boxes and their files when its server is gone, after one visit that created %s",
      async (created) => {
        const { query, reports } = VISITS[created];
        const visits = await visit(runtime, launch, query);
        for (const [at, report] of reports.entries()) expect(await visits[at]).toEqual(report);
      },
    );
  });
}

/** Opens the site in a browser that has never seen it, and ends its server after the first visit. Returns what test/pages/offline.mjs reports of each visit. */
async function visit(runtime: Runtime, launch: BrowserLaunch, query: string): Promise<Promise<object>[]> {
  const folder = mkdtempSync(join(tmpdir(), "boxrun-site-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const cli = join(inject("project"), "node_modules/boxrun/dist/node/cli.js");
  execFileSync(process.execPath, [cli, "site", folder]);

  const site = await serveStatic({ "/class/": folder, "/": join(ROOT, "test/pages") });
  const visits = [deferred<object>(), deferred<object>(), deferred<object>()];
  const fail = (error: Error) => {
    for (const one of visits) one.reject(error);
  };
  const waiting = visits.values();
  const reports = await listen(async (request, response) => {
    const report = (await json(request)) as object;
    site.close();
    if ("error" in report) fail(new Error(JSON.stringify(report)));
    else waiting.next().value?.resolve(report);
    response.setHeader("access-control-allow-origin", "*").end();
  });
  onTestFinished(() => {
    site.close();
    reports.close();
  });

  const page = `${site.url}/offline.html${query}&reports=${encodeURIComponent(reports.url)}`;
  const browser = launch.start({ page });
  onTestFinished(() => browser.stop());
  browser.ended.then((how) => fail(new Error(`${runtime.name} ended too early, ${how}`)));
  return visits.map(({ promise }) => promise);
}
