import { expect, inject, it, onTestFinished } from "vitest";
import { deferred } from "../../src/util/deferred.js";
import { inChromium } from "./browsers.js";
import { notRun } from "./contract-in.js";
import { findProgram, serveAssets, serveProgram } from "./debian-programs.js";
import { previewHost } from "./preview-in.js";
import { chromium } from "./runtimes.mjs";
import { openSite } from "./site.js";

const name = "a preview in a page shows livereload's server, which exchanges a style and reloads after edits";
const program = await findProgram("livereload");
if (chromium.missing !== undefined) notRun(name, chromium.missing);
else if ("missing" in program) notRun(name, program.missing);
else
  it(name, async () => {
    const told = deferred<object>();
    const site = await openSite({
      project: inject("project"),
      server: undefined,
      settings: {
        assets: await serveAssets(),
        previewUrl: `${(await previewHost([])).url}/`,
        program: await serveProgram(program),
      },
      take: (report: object) => told.resolve(report),
    });
    onTestFinished(() => site.close());
    const browser = inChromium.start({ page: `${site.url}/page.html?dev-server` });
    onTestFinished(() => browser.stop());
    browser.ended.then((how) => told.reject(new Error(`Chromium ended too early, ${how}`)));
    expect(await told.promise).toEqual({
      first: {
        part: "a module",
        title: "first",
        kind: "text/html",
        image: 12,
        color: "rgb(1, 2, 3)",
        range: [206, "bytes 2-5/10", "2345"],
        redirected: ["/docs/", "<!doctype html>the docs"],
        missing: 404,
      },
      // The same document: only the style was exchanged.
      styled: { title: "first", color: "rgb(4, 5, 6)" },
      reloaded: { title: "second", color: "rgb(4, 5, 6)" },
    });
  });
