import { expect, it } from "vitest";
import { inChromium } from "./browsers.js";
import { notRun } from "./contract-in.js";
import { findProgram, serveAssets, serveProgram } from "./debian-programs.js";
import { previewHost } from "./preview-in.js";
import { reportOf } from "./report-of.js";
import { chromium } from "./runtimes.mjs";

const name = "a preview in a page shows livereload's server, which exchanges a style and reloads after edits";
const program = await findProgram("livereload");
if (chromium.missing !== undefined) notRun(name, chromium.missing);
else if ("missing" in program) notRun(name, program.missing);
else
  it(name, async () => {
    const report = await reportOf(chromium, inChromium, "dev-server", async () => ({
      assets: await serveAssets(),
      previewUrl: `${(await previewHost([])).url}/`,
      program: await serveProgram(program),
    }));
    expect(report).toEqual({
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
