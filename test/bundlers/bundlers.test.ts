import { rmSync } from "node:fs";
import type { Browser } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { APPS, type Workspace } from "./apps.js";
import { EXPECTED, launchBrowser, makeWorkspace, runApp } from "./run-app.js";

let workspace: Workspace;
let browser: Browser;
beforeAll(async () => {
  workspace = makeWorkspace();
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  rmSync(workspace, { recursive: true });
});

describe("an application of the packed package, after one step", () => {
  it.each(APPS.filter(({ always }) => always))("runs a box: $name", async (app) => {
    const { texts, complaints } = await runApp(app, workspace, browser);
    expect(texts).toEqual(app.pages.map(() => EXPECTED));
    expect(complaints).toEqual([]);
  });
});
