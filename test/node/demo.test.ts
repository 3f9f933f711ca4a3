import { execFile } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Browser, chromium, type Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMANDS } from "../../demo/commands.mjs";
import { serveFolder } from "../../demo/static-server.mjs";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";

const ROOT = join(import.meta.dirname, "../..");

const start = (...args: string[]) =>
  promisify(execFile)(process.execPath, ["demo/start.mjs", ...args], { cwd: ROOT });

it("npm start -- --once runs a box, shows what it ran and how long it took, and ends", async () => {
  const { stdout } = await start("--once");
  expect(stdout).toMatch(/^create\("tiny"\) {2}\d+ ms {2}\(BusyBox/);
  for (const cmd of COMMANDS) expect(stdout).toContain(`$ ${cmd}\n`);
  expect(stdout).toContain("Hello from Linux");
  expect(stdout).toMatch(/this goes to stderr\n {2}exit code 3, \d+ ms/);
});

it.each([["--no-such"], ["--port", "70000"], ["--port"]])("npm start refuses %s at once", async (...args) => {
  const failed = await start(...args).catch((error) => error);
  expect(failed).toMatchObject({ code: 2, stdout: "" });
  expect(failed.stderr).toMatch(/--(no-such|port).*\nusage: .*\n$/);
});

it("npm start says in one line that its port is taken", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const failed = await start("--port", String(port)).catch((error) => error);
  other.close();
  expect(failed).toMatchObject({ code: 1 });
  expect(failed.stderr).toMatch(new RegExp(`^.*${port}.*try --port N\n$`));
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

  it("shows the end of much output, and keeps input and Cancel in view and usable", async () => {
    const last = page.locator("#log li").last();
    await run("seq 1 200000");
    await last.getByText("exit code 0").waitFor();
    expect(await last.locator("pre").textContent()).toMatch(/^[\d\n]{200000,220000}\n200000\n$/);
    expect(await last.locator("pre").getAttribute("data-cut")).toContain("last 200 kB");
    await page.locator("#command:focus").waitFor();
    expect(await isInView("#command")).toBe(true);

    await run("yes");
    await last.locator("pre[data-cut]").waitFor();
    expect(await isInView("#cancel")).toBe(true);
    await page.getByRole("button", { name: "Cancel" }).click();
    await last.getByText("canceled").waitFor();
    expect(problems).toEqual([]);
  });

  it("walks through what was typed", async () => {
    const value = () => page.locator("#command").inputValue();
    await page.locator("#command:focus").waitFor();
    await page.keyboard.type("ech");
    await page.keyboard.press("ArrowUp");
    expect(await value()).toBe("yes");
    await page.keyboard.press("ArrowUp");
    expect(await value()).toBe("seq 1 200000");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    expect(await value()).toBe("ech");
    await page.locator("#command").fill("");
  });

  it("says that the box has ended, and takes no more commands", async () => {
    await run("poweroff -f");
    await page.locator("#status[data-state=error]").waitFor();
    await page.locator("#command:disabled").waitFor();
    await page.locator("#cancel").waitFor({ state: "hidden" });
    expect(await isInView("#status")).toBe(true);
    expect(await page.locator("#run").isDisabled()).toBe(true);
  });

  async function run(cmd: string): Promise<void> {
    await page.locator("#command").fill(cmd);
    await page.keyboard.press("Enter");
    await page.locator("#log li").last().getByText(`$ ${cmd}`, { exact: true }).waitFor();
  }

  /** Without scrolling to it, as Playwright's own clicks would. */
  function isInView(selector: string): Promise<boolean> {
    return page.locator(selector).evaluate((element) => {
      const { top, bottom, height } = element.getBoundingClientRect();
      return height > 0 && top >= 0 && bottom <= element.ownerDocument.defaultView.innerHeight;
    });
  }
});
