import { describe, expect, it } from "vitest";
import type { BrowserLaunch } from "./browsers.js";
import { notRun } from "./contract-in.js";
import type { Runtime } from "./runtimes.mjs";
import { visitSite, writeFolder } from "./site-visits.js";

const RAN = { ran: "typed\nexit code 0" };
const WROTE = { ...RAN, wrote: "in the project\non the disk\nexit code 0" };
const READ = {
  ...RAN,
  shown: "console.log('typed');",
  read: expect.stringMatching(/^in the project\non the disk\n\d+\nexit code 0$/),
};

/** Visits of the site: one that runs programs, or one that runs none, and two more when its server is gone. */
const VISITS = {
  programs: { query: { offline: "", runsFirst: "" }, reports: [WROTE, READ, READ] },
  none: { query: { offline: "" }, reports: [{}, WROTE, READ] },
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
      "runs programs and has what was typed and written when its server is gone, after one visit that ran %s",
      async (ran) => {
        const { query, reports } = VISITS[ran];
        // Gone after the first visit.
        const end = (site: { close(): void }) => site.close();
        const visits = await visitSite({ runtime, launch }, writeFolder("site"), query, reports.length, end);
        for (const [at, report] of reports.entries()) expect(await visits[at]).toEqual(report);
      },
    );
  });
}
