import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { deferred } from "../../src/util/deferred.js";
import type { BrowserLaunch } from "./browsers.js";
import { notRun } from "./contract-in.js";
import type { KeptReport, KeptSettings } from "./messages.js";
import type { Runtime } from "./runtimes.mjs";
import { openSite } from "./site.js";

/** Declares tests of what is kept of a box when its page ends: see test/pages/kept.mjs. */
export function keptIn(runtime: Runtime, launch: BrowserLaunch): void {
  const name = `a box in ${runtime.name}, from the packed tarball`;
  if (runtime.missing !== undefined) return notRun(name, runtime.missing);
  describe(name, () => {
    it.each(["reloaded", "killed"])(
      "has what a command and an upload wrote without a sync when it is %s after the flush that follows",
      async (end) => {
        const written = deferred<KeptReport>();
        const read = deferred<KeptReport>();
        const settings: KeptSettings = { life: 1, reload: end === "reloaded" };
        const site = await openSite({
          project: inject("project"),
          server: undefined,
          settings,
          take: (report: KeptReport) => {
            settings.life = 2;
            (report.life === 1 ? written : read).resolve(report);
          },
        });
        onTestFinished(() => site.close());
        const profile = mkdtempSync(join(tmpdir(), "boxrun-profile-"));
        onTestFinished(() => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
        const open = () => {
          const browser = launch.start({ page: `${site.url}/page.html?kept`, profile });
          onTestFinished(() => browser.stop());
          const tooEarly = browser.ended.then((how): never => {
            throw new Error(`${runtime.name} ended too early, ${how}`);
          });
          tooEarly.catch(() => {});
          return {
            stop: () => browser.stop(),
            said: <T>(report: Promise<T>) => Promise.race([report, tooEarly]),
          };
        };

        let browser = open();
        expect(await browser.said(written.promise)).toEqual({ life: 1 });
        if (end === "killed") {
          await browser.stop();
          browser = open();
        }
        expect(await browser.said(read.promise)).toEqual({ life: 2, found: "one\ntwo" });
      },
    );
  });
}
