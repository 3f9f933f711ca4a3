import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { inject, onTestFinished } from "vitest";
import { type Deferred, deferred } from "../../src/util/deferred.js";
import { ROOT } from "../root.js";
import type { BrowserLaunch } from "./browsers.js";
import type { Runtime } from "./runtimes.mjs";
import { type Host, listen, serveStatic } from "./static-host.js";

/** Has the installed package write a folder: `boxrun site` or `boxrun preview`, with options. */
export function writeFolder(command: "site" | "preview", ...options: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), `boxrun-${command}-`));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const cli = join(inject("project"), "node_modules/boxrun/dist/node/cli.js");
  execFileSync(process.execPath, [cli, command, folder, ...options]);
  return folder;
}

/**
 * Uses a site in a browser that has never seen it, by a module of test/pages that drives it in a frame. Returns its reports, of which there are `count`.
 *
 * @param folder folder of the site, which is served below a path
 * @param query name of the module, and what it is told
 * @param onReport called with each report before it is answered
 */
export async function visitSite<Report extends object>(
  { runtime, launch }: { runtime: Runtime; launch: BrowserLaunch },
  folder: string,
  query: Record<string, string>,
  count: number,
  onReport: (site: Host) => void = () => {},
): Promise<Promise<Report>[]> {
  const site = await serveStatic({ "/class/": folder, "/": join(ROOT, "test/pages") });
  const told: Deferred<Report>[] = Array.from({ length: count }, () => deferred<Report>());
  const fail = (error: Error) => {
    for (const one of told) one.reject(error);
  };
  const waiting = told.values();
  const reports = await listen(async (request, response) => {
    const report = (await json(request)) as Report | { error: string };
    onReport(site);
    if ("error" in report) fail(new Error(report.error));
    else waiting.next().value?.resolve(report);
    response.setHeader("access-control-allow-origin", "*").end();
  });
  onTestFinished(() => {
    site.close();
    reports.close();
  });
  const page = `${site.url}/site.html?${new URLSearchParams({ ...query, reports: reports.url })}`;
  const browser = launch.start({ page });
  onTestFinished(() => browser.stop());
  browser.ended.then((how) => fail(new Error(`${runtime.name} ended too early, ${how}`)));
  return told.map(({ promise }) => promise);
}
