import { readFileSync } from "node:fs";
import { type BoxHandle, BoxRunClient } from "boxrun";
import { createLocalBackend } from "boxrun/local";
import { type RunningServer, serve } from "boxrun/node";
import { type Browser, chromium } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";

const PORT = 5173;
const backend = createLocalBackend({ persistent: false });
const here = new BoxRunClient({ backend });
let server: RunningServer;
let there: BoxRunClient;
let browser: Browser;
let box: BoxHandle;

beforeAll(async () => {
  server = await serve(backend, { port: 0 });
  there = new BoxRunClient({ backend: "remote", baseUrl: server.addresses[0]! });
  browser = await chromium.launch({ executablePath: findChromium(), args: CHROMIUM_ARGS });
  box = await here.create("debian");
  await box.files.write("/root/page.txt", "first");
  await box.files.write("/root/dev-server.py", readFileSync(new URL("dev-server.py", import.meta.url)));
  await box.spawn("python3", ["dev-server.py", String(PORT)], { detached: true, cwd: "/root" });
  await box.ports.waitFor(PORT);
});
afterAll(async () => {
  await browser?.close();
  await there?.close();
  await server?.close();
  await here.close();
});

describe("the preview of a development server in a box", () => {
  it.each([
    { name: "a port of this machine", client: () => here, host: /^127\.0\.0\.1$/ },
    { name: "an origin of its own from a server", client: () => there, host: /^5173-.+\.localhost$/ },
  ])("has a page reload when a file in the box changes, as $name", async ({ client, host }) => {
    const preview = await (await client().getBox(box.id)).preview(PORT);
    expect(new URL(preview.url).hostname).toMatch(host);
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on("pageerror", ({ message }) => problems.push(message));
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    await box.files.write("/root/page.txt", "first");
    await page.goto(preview.url);
    for (const title of ["second", "third"]) {
      await page.locator("html[data-state=connected]").waitFor({ state: "attached" });
      await box.files.write("/root/page.txt", title);
      await page.waitForFunction(`document.title === "${title}"`);
    }
    await page.locator("html[data-state=connected]").waitFor({ state: "attached" });
    expect(problems).toEqual([]);
    await preview.close();
    await page.locator("html[data-state=closed]").waitFor({ state: "attached" });
    await page.close();
  });
});
