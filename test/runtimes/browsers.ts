import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHROMIUM_ARGS } from "../../scripts/chromium.mjs";
import { type Launch, type Running, startProcess } from "./launch.js";
import { chromium, firefox, webkit } from "./runtimes.mjs";

/** Turns off what Firefox asks, shows or fetches at a start, and what opens a page once more, with reports of its own: the restored session of a browser that was killed, and thumbnails. */
const FIREFOX_PREFERENCES = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.pagethumbnails.capturing_disabled": true,
  "browser.sessionstore.resume_from_crash": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
};

/** Opens a page in a browser. */
export interface BrowserLaunch extends Launch {
  /** `profile` is a folder of the caller's, which outlives the browser. By default, the browser has one of its own. */
  start(run: { page: string; profile?: string }): Running;
}

function inBrowser(command: string, args: (profile: string, page: string) => string[]): BrowserLaunch {
  return {
    start: ({ page, profile: given }) => {
      const profile = given ?? mkdtempSync(join(tmpdir(), "boxrun-profile-"));
      const preferences = Object.entries(FIREFOX_PREFERENCES).map(
        ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
      );
      writeFileSync(join(profile, "user.js"), preferences.join(""));
      const running = startProcess(command, args(profile, page), { cwd: profile, env: { HOME: profile } });
      return {
        ended: running.ended,
        stop: async () => {
          await running.stop();
          if (given === undefined) rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
        },
      };
    },
    endsByItself: false,
  };
}

export const inChromium = inBrowser(chromium.path, (profile, page) => [
  "--headless=new",
  `--user-data-dir=${profile}`,
  ...CHROMIUM_ARGS,
  page,
]);

export const inFirefox = inBrowser(firefox.path, (profile, page) => [
  "--headless",
  "--no-remote",
  "--profile",
  profile,
  page,
]);

/** WebKitGTK's own small browser knows no headless mode. */
export const inWebKit = inBrowser("xvfb-run", (_, page) => ["-a", webkit.path, page]);
