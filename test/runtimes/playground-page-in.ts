import { describe, expect, it, onTestFinished } from "vitest";
import type { BrowserLaunch } from "./browsers.js";
import { notRun } from "./contract-in.js";
import type { Runtime } from "./runtimes.mjs";
import { visitSite, writeFolder } from "./site-visits.js";
import { type Host, listen, serveStatic } from "./static-host.js";

/** What the style sheet of the example gives to a page, and its script to a button that was clicked. */
const STYLED = "rgb(244, 248, 255)";
const CLICKED = "Clicked once";
const REFUSED = expect.stringMatching(/^wget: .*\nexit code 1$/);

/** Declares a test of the previews and the network of the page that `boxrun site` writes. */
export function playgroundPageIn(runtime: Runtime, launch: BrowserLaunch): void {
  const name = `the page of boxrun site in ${runtime.name}, from the packed tarball`;
  if (runtime.missing !== undefined) return notRun(name, runtime.missing);
  describe(name, () => {
    it("previews a server of its box, which follows the editor, and switches the box's network on and off", async () => {
      const keep = (host: Host) => {
        onTestFinished(() => host.close());
        return host.url;
      };
      const previews = keep(await serveStatic({ "/": writeFolder("preview") }));
      const api = keep(
        await listen((_, response) => response.setHeader("access-control-allow-origin", "*").end("hello\n")),
      );
      const [seen] = await visitSite(
        { runtime, launch },
        writeFolder("site", "--preview-url", `${previews}/`),
        { "playground-page": "", api: `${api}/` },
        1,
      );
      expect(await seen).toEqual({
        first: ["one", STYLED, CLICKED, previews],
        changed: ["two", STYLED, CLICKED, previews],
        off: REFUSED,
        on: "hello\nexit code 0",
        offAgain: REFUSED,
        ended: expect.stringMatching(/^(?:canceled|exit code \d+)$/),
        note: "Start a web server in the box, and its pages appear here.",
      });
    });
  });
}
