import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import type { BrowserLaunch } from "./browsers.js";
import { notRun } from "./contract-in.js";
import { reportOf } from "./report-of.js";
import type { Runtime } from "./runtimes.mjs";
import { type Host, serveStatic } from "./static-host.js";

/** What the pages of the box see: test/pages/preview.mjs. */
const SEEN = {
  posted: "a body",
  redirected: ["/target", "target"],
  root: "<!doctype html>",
  early: 1006,
  silent: [1006, 1006, 1006],
  missing: 404,
  application: "another origin",
  socket: [true, 1, "open", 1, "hello", 1000, "bye"],
  second: "/second",
  isPreview: true,
};

/** Declares tests of previews in a page, on origins of the page's own site and of another; and `withNone`, where nobody answers, which takes 20 seconds to see. */
export function previewIn(runtime: Runtime, launch: BrowserLaunch, { withNone = false } = {}): void {
  const name = `previews in ${runtime.name}, from the packed tarball`;
  if (runtime.missing !== undefined) return notRun(name, runtime.missing);
  describe(name, () => {
    it("show pages of a box on an origin of their own, with its requests, redirects and WebSockets", async () => {
      const hosts: Host[] = [];
      for (const origins of [[], [], ["https://app.example.com"]]) hosts.push(await previewHost(origins));
      const [own, other, refusing] = hosts.map(({ url }) => `${url}/`) as [string, string, string];
      let application = "";
      const { ownSite, otherSite, ...refused } = await reportOf<Record<string, unknown>>(
        runtime,
        launch,
        "preview",
        (site) => {
          application = site;
          return {
            settings: {
              ownSite: own,
              otherSite: other.replace("127.0.0.1", "localhost"),
              refusing,
              ...(withNone && { none: `http://127.0.0.1:9/` }),
              folder: `${own}folder/`,
            },
          };
        },
      );
      expect(ownSite).toMatchObject({ ...SEEN, refused: 1006 });
      expect(otherSite).toMatchObject(SEEN);
      expect(refused["refusing"]).toMatchObject({
        code: "UNSUPPORTED",
        message: expect.stringContaining(`--allow-origin ${application}`),
      });
      expect(refused["folder"]).toMatchObject({
        code: "VALIDATION_ERROR",
        message: expect.stringContaining("an origin"),
      });
      expect(refused["page"]).toMatchObject({
        code: "VALIDATION_ERROR",
        message: expect.stringContaining("own origin"),
      });
      if (withNone)
        expect(refused["none"]).toMatchObject({
          code: "UNSUPPORTED",
          message: expect.stringContaining("no answer from"),
        });
    });
  });
}

/** Serves the files of `boxrun preview`. */
export async function previewHost(origins: string[]): Promise<Host> {
  const folder = mkdtempSync(join(tmpdir(), "boxrun-preview-"));
  const cli = join(inject("project"), "node_modules/boxrun/dist/node/cli.js");
  const allowed = origins.flatMap((origin) => ["--allow-origin", origin]);
  execFileSync(process.execPath, [cli, "preview", folder, ...allowed]);
  const host = await serveStatic({ "/": folder });
  onTestFinished(() => {
    host.close();
    rmSync(folder, { recursive: true });
  });
  return host;
}
