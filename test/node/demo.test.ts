import { execFile } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Browser, chromium, type Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMANDS } from "../../demo/commands.mjs";
import { serveFolder } from "../../demo/static-server.mjs";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";

const ROOT = join(import.meta.dirname, "../..");

it("npm start -- --once runs a box, shows what it ran and how long it took, and ends", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["demo/start.mjs", "--once"], { cwd: ROOT });
  expect(stdout).toMatch(/^create\("tiny"\) {2}\d+ ms {2}\(BusyBox/);
  for (const cmd of COMMANDS) expect(stdout).toContain(`$ ${cmd}\n`);
  expect(stdout).toContain("Hello from Linux");
  expect(stdout).toMatch(/this goes to stderr\n {2}exit code 3, \d+ ms/);
});

describe("the demo page", () => {
  const server = serveFolder(new URL(`file://${ROOT}/`));
  let browser: Browser;
  let page: Page;
  const problems: string[] = [];

  beforeAll(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    browser = await chromium.launch({
      executablePath: findChromium(),
      args: CHROMIUM_ARGS,
    });
    page = await browser.newPage();
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  });
  afterAll(async () => {
    await browser.close();
    server.close();
  });

  it("creates a box and runs the same commands", async () => {
    await page.locator("#command:enabled").waitFor();
    await page
      .locator("#log li")
      .nth(COMMANDS.length - 1)
      .getByText("exit code 3")
      .waitFor();
    expect(await page.locator("#status").textContent()).toMatch(/BusyBox.*runs/);
    expect(await page.locator("#log li").first().locator("pre").textContent()).toMatch(/^Hello from Linux/);
    expect(await page.locator("#log .stderr").last().textContent()).toBe("this goes to stderr\n");
  });

  it("runs a typed command by the keyboard alone, and cancels one", async () => {
    const last = page.locator("#log li").last();
    await page.keyboard.type("cat note.txt | rev");
    await page.keyboard.press("Enter");
    await last.getByText("tpek").waitFor();
    await page.locator("#command:enabled").waitFor();
    await page.keyboard.type("echo up; sleep 600");
    await page.keyboard.press("Enter");
    await last.getByText("up", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await last.getByText("canceled").waitFor();
    expect(problems).toEqual([]);
  });
});
