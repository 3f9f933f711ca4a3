import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SITE, serveFolder } from "../../demo/static-server.mjs";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";
import { ROOT } from "../root.js";

describe("the demo page", () => {
  const server = serveFolder(new URL(`file://${ROOT}/`), SITE);
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  const problems: string[] = [];

  beforeAll(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    browser = await chromium.launch({ executablePath: findChromium(), args: CHROMIUM_ARGS });
    context = await browser.newContext({ viewport: { width: 1100, height: 700 } });
    page = await open();
  });
  afterAll(async () => {
    await browser.close();
    server.close();
  });

  async function open(within = context): Promise<Page> {
    const opened = await within.newPage();
    opened.on("pageerror", (error) => problems.push(error.message));
    opened.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    await opened.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await opened.locator("html[data-ready]").waitFor();
    return opened;
  }

  const last = () => page.locator("#log li").last();

  async function run(cmd: string): Promise<void> {
    // It stands there once the command before has ended for the page, too, a moment after its end is shown: Enter does nothing until then.
    await page.locator("#run:enabled").waitFor();
    await page.locator("#command").fill(cmd);
    await page.keyboard.press("Enter");
    await last().getByText(`$ ${cmd}`, { exact: true }).waitFor();
  }

  async function outputOf(cmd: string): Promise<string> {
    await run(cmd);
    await last().getByText("exit code").waitFor();
    return (await last().locator("pre").textContent()) ?? "";
  }

  /** Without scrolling to it, as Playwright's own clicks would. */
  function isInView(selector: string): Promise<boolean> {
    return page.locator(selector).evaluate((element) => {
      const { top, bottom, height } = element.getBoundingClientRect();
      return height > 0 && top >= 0 && bottom <= element.ownerDocument.defaultView.innerHeight;
    });
  }

  it("offers its images, smallest first, with what they are and cost", async () => {
    expect(await page.locator("#image option").allTextContents()).toEqual(["tiny", "debian"]);
    expect(await page.locator("#image-note").textContent()).toMatch(/^BusyBox.* [\d.]+ MB/);
    expect(await page.locator("#empty").isVisible()).toBe(true);
  });

  it("creates a box by the keyboard alone, and runs what is typed", async () => {
    await page.locator("#name").focus();
    await page.keyboard.type("first");
    await page.keyboard.press("Enter");
    await page.locator("#command:focus").waitFor();
    await page.keyboard.type("echo kept > note.txt; cat note.txt; echo err >&2; exit 3");
    await page.keyboard.press("Enter");
    await last().getByText("exit code 3").waitFor();
    expect(await last().locator(".stdout").textContent()).toBe("kept\n");
    expect(await last().locator(".stderr").textContent()).toBe("err\n");
    expect(await page.locator("#said").textContent()).toContain("exit code 3");
  });

  it("makes one box however often Create is pressed, and says that it does", async () => {
    const before = await page.locator("#boxes li").count();
    const seen = await page.locator("#create").evaluate((form) => {
      form.requestSubmit();
      form.requestSubmit();
      const { disabled, textContent } = form.querySelector("#create-button");
      return { disabled, textContent };
    });
    expect(seen).toEqual({ disabled: true, textContent: "Creating…" });
    await page.locator("#create-button:enabled").getByText("Create", { exact: true }).waitFor();
    expect(await page.locator("#boxes li").count()).toBe(before + 1);
    await page.getByRole("button", { name: "Remove" }).click();
    await page.getByRole("button", { name: "Remove it and its files?" }).click();
    await page.locator("#empty").waitFor();
    await page.locator("#boxes button").first().click();
    await page.locator("#command:focus").waitFor();
  });

  it("cancels a command, and walks through what was typed", async () => {
    await run("echo up; sleep 600");
    await last().getByText("up", { exact: true }).waitFor();
    await page.locator("#cancel").waitFor();
    // Enter once more, or in haste the next command: neither ends the one that runs.
    await page.keyboard.press("Enter");
    await page.keyboard.type("echo next");
    await page.keyboard.press("Enter");
    expect(await page.locator("#command").inputValue()).toBe("echo next");
    expect(await last().getByText("running…").isVisible()).toBe(true);
    await page.keyboard.press("Tab");
    await page.locator("#cancel:focus").waitFor();
    await page.keyboard.press("Enter");
    await last().getByText("canceled").waitFor();
    await page.locator("#command:focus").waitFor();
    await page.keyboard.press("Enter");
    await last().getByText("exit code 0").waitFor();
    expect(await last().locator("pre").textContent()).toBe("next\n");
    await run("sleep 601");
    await page.keyboard.press("Control+c");
    await last().getByText("canceled").waitFor();
    await page.keyboard.type("dra");
    for (const earlier of ["sleep 601", "echo next", "echo up; sleep 600"]) {
      await page.keyboard.press("ArrowUp");
      expect(await page.locator("#command").inputValue()).toBe(earlier);
    }
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowDown");
    expect(await page.locator("#command").inputValue()).toBe("dra");
    await page.keyboard.press("Escape");
    expect(await page.locator("#command").inputValue()).toBe("");
  });

  it("shows the end of much output, and keeps input and Cancel in view and usable", async () => {
    await run("seq 1 200000");
    await last().getByText("exit code 0").waitFor();
    expect(await last().locator("pre").textContent()).toMatch(/^[\d\n]{200000,220000}\n200000\n$/);
    expect(await last().locator("pre").getAttribute("data-cut")).toContain("last 200 kB");
    expect(await isInView("#command")).toBe(true);
    await run("yes");
    await last().locator("pre[data-cut]").waitFor();
    expect(await isInView("#cancel")).toBe(true);
    await page.locator("#cancel").click();
    await last().getByText("canceled").waitFor();
  });

  it("has a terminal: keys, programs that take the whole screen, and its end", async () => {
    await page.getByRole("button", { name: "Terminal" }).click();
    await page.locator("#terminal textarea").waitFor({ state: "attached" });
    const rows = page.locator("#terminal .xterm-rows");
    const shows = (text: string | RegExp) => rows.getByText(text).first().waitFor();
    expect(await page.locator("#terminal-note").textContent()).toContain("Ctrl+Shift+Enter");
    // Tab belongs to the shell; there is a way out without a mouse.
    await page.keyboard.press("Tab");
    await page.locator("#terminal textarea:focus").waitFor();
    await page.keyboard.press("Control+Shift+Enter");
    await page.locator("#terminal-toggle:focus").waitFor();
    await page.locator("#terminal textarea").focus();
    await page.keyboard.type("tty; stty size\n");
    await shows("/dev/pts/0");
    const size = await page.locator("#terminal").evaluate(({ clientWidth }) => clientWidth);
    const [, columns] = /\d+ (\d+)/.exec(
      (await rows.textContent())!.replaceAll("\u00a0", " ").split("pts/0")[1]!,
    )!;
    // As wide as its place: no column of 14 pixels' text is wider than 10, or narrower than 6.
    expect(Number(columns)).toBeGreaterThan(size / 10);
    expect(Number(columns)).toBeLessThan(size / 6);
    await page.keyboard.type("vi by-hand.txt\n");
    await shows("by-hand.txt 1/1");
    await page.keyboard.type("itext");
    await page.keyboard.press("Escape");
    await shows("[Modified]");
    await page.keyboard.type(":wq\n");
    // The screen is again what it was before.
    await shows("vi by-hand.txt");
    await page.keyboard.type("exit\n");
    await page.locator("#command:enabled").waitFor();
    expect(await outputOf("cat by-hand.txt")).toBe("text\n");
  });

  it("takes files in and gives them out", async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 65]);
    await page.locator("#upload").setInputFiles({ name: "in put.bin", mimeType: "", buffer: bytes });
    await page.locator("#path").getByText("").first().waitFor({ state: "attached" });
    await expect.poll(() => page.locator("#path").inputValue()).toBe("/root/in put.bin");
    expect(await outputOf("wc -c < '/root/in put.bin'")).toBe("5\n");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download" }).click(),
    ]);
    expect(download.suggestedFilename()).toBe("in put.bin");
    expect(readFileSync((await download.path())!)).toEqual(bytes);
    await page.locator("#path").fill("/no/such");
    await page.getByRole("button", { name: "Download" }).click();
    await page.locator("#message", { hasText: "/no/such" }).waitFor();
  });

  it("edits a file: what was typed is saved before a command runs, and not lost by accident", async () => {
    const text = page.locator("#editor-text");
    const message = (said: RegExp) => page.locator("#message").filter({ hasText: said }).waitFor();
    const edit = async (path: string) => {
      await page.locator("#path").fill(path);
      await page.keyboard.press("Enter");
    };
    await edit("main.js");
    await page.locator("#editor-text:focus").waitFor();
    await page.keyboard.type("if (true) {\n");
    await page.keyboard.press("Tab");
    await page.keyboard.type("const x = 6;\nprint(x * 7);");
    expect(await text.inputValue()).toBe("if (true) {\n    const x = 6;\n    print(x * 7);");
    await page.keyboard.type("\n");
    for (let i = 0; i < 4; i++) await page.keyboard.press("Backspace");
    await page.keyboard.type("}");
    await page.keyboard.press("Control+s");
    await page.locator("#editor-state").getByText("saved", { exact: true }).waitFor();
    expect(await outputOf("qjs main.js; ls /root/main.js")).toBe("42\n/root/main.js\n");

    await text.fill("print(43);");
    expect(await page.locator("#editor-state").textContent()).toBe("not saved");
    await edit("other.js");
    await message(/save \/root\/main\.js first, or close it/);
    expect(await outputOf("qjs main.js")).toBe("43\n");
    for (const [path, said] of [
      ["/bin/busybox", /is not text|too large/],
      ["/root", /./],
    ] as const) {
      await edit(path);
      await message(said);
      expect(await text.inputValue()).toBe("print(43);");
    }

    // Escape is the way out by keyboard.
    await text.focus();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Tab");
    await page.locator("#editor-text:not(:focus)").waitFor();
    await text.fill("print(44);");
    await page.getByRole("button", { name: "Close", exact: true }).click();
    await page.getByRole("button", { name: "Close without saving?" }).click();
    await page.locator("#editor").waitFor({ state: "hidden" });
    expect(await outputOf("cat main.js")).toBe("print(43);");
  });

  it("stops a box and starts it again, with its files", async () => {
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator("#boxes .state.stopped").waitFor();
    expect(await page.locator("#command").isDisabled()).toBe(true);
    await page.getByRole("button", { name: "Start" }).click();
    expect(await outputOf("cat note.txt")).toBe("kept\n");
  });

  it("finds box, files and history again after a reload in the middle of a command", async () => {
    // The last tenth of a second of a history may be lost.
    await run("sleep 0.3; echo begun; sleep 600");
    await last().getByText("begun", { exact: true }).waitFor();
    await page.reload();
    await page.locator("html[data-ready]").waitFor();
    await page.locator("#boxes .state.stopped").waitFor();
    expect(
      await page.locator("#log li", { hasText: "note.txt; echo err" }).locator(".stderr").textContent(),
    ).toBe("err\n");
    await last().getByText("cut off").waitFor();
    await page.getByRole("button", { name: "Start" }).click();
    expect(await outputOf("cat note.txt")).toBe("kept\n");
  });

  it("says in a second tab who has the box, sees when the first is gone, and takes over", async () => {
    const first = page;
    page = await open();
    await page.locator("#boxes .state.running").waitFor();
    await run("echo mine");
    await page.locator("#message", { hasText: "is in use by the page" }).waitFor();
    await first.close();
    await page.getByRole("button", { name: "Start" }).click();
    expect(await outputOf("cat note.txt")).toBe("kept\n");
  });

  it("goes on without a network, a reload included", async () => {
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)");
    await page.reload();
    await page.locator("html[data-ready]").waitFor();
    await page.locator("#start:visible").waitFor();
    await context.setOffline(true);
    await page.getByRole("button", { name: "Start" }).click();
    expect(await outputOf("cat note.txt")).toBe("kept\n");
    await page.reload();
    await page.locator("html[data-ready]").waitFor();
    await page.getByRole("button", { name: "Start" }).click();
    expect(await outputOf("cat note.txt; wc -l < /etc/passwd")).toMatch(/^kept\n\d+\n$/);
    await context.setOffline(false);
  });

  it("removes a box only when asked twice", async () => {
    await page.getByRole("button", { name: "Remove" }).click();
    await page.getByRole("button", { name: "Remove it and its files?" }).click();
    await page.locator("#empty").waitFor();
    expect(await page.locator("#boxes").textContent()).toBe("None yet.");
  });

  it.each(["light", "dark"] as const)("fits a phone and can be read in the %s", async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 360, height: 640 });
    const { width, colors } = await page.locator("body").evaluate((body) => {
      const view = body.ownerDocument.defaultView;
      const muted = body.querySelector(".muted");
      return {
        width: body.ownerDocument.documentElement.scrollWidth,
        colors: [
          view.getComputedStyle(body).backgroundColor,
          ...[body, muted].map((element) => view.getComputedStyle(element).color),
        ] as string[],
      };
    });
    const [behind, ...texts] = colors.map(luminance);
    const contrast = Math.min(
      ...texts.map((text) => (Math.max(text, behind!) + 0.05) / (Math.min(text, behind!) + 0.05)),
    );
    expect(width).toBe(360);
    expect(contrast).toBeGreaterThan(4.5);
  });

  it("has boxes without a network after one visit that created none", async () => {
    const fresh = await browser.newContext();
    const visit = await open(fresh);
    await visit.evaluate("navigator.serviceWorker.ready.then(() => true)");
    await visit.getByText("kept for offline use").waitFor();
    await fresh.setOffline(true);
    await visit.reload();
    await visit.locator("html[data-ready]").waitFor();
    for (const memoryMb of ["1024", "256"]) {
      await visit.locator("#memory").selectOption(memoryMb);
      await visit.locator("#create [type=submit]").click();
      await visit.locator("#box-facts").getByText("running").waitFor();
      await visit.locator("#command:enabled").fill("uname -m");
      await visit.keyboard.press("Enter");
      await visit.locator("#log li").last().getByText("exit code 0").waitFor();
      await visit.locator("#stop").click();
      await visit.locator("#start:visible").waitFor();
    }
    await fresh.close();
  });

  it("has the command line in view on a phone", async () => {
    await page.setViewportSize({ width: 390, height: 664 });
    await page.locator("#name").press("Enter");
    await page.locator("#command:focus").waitFor();
    expect(await isInView("#command")).toBe(true);
    expect(await isInView("#run")).toBe(true);
  });

  it("runs commands where the browser refuses storage, and walks through them", async () => {
    const refused = await browser.newContext();
    await refused.addInitScript(() => {
      Object.defineProperty(globalThis, "localStorage", {
        get() {
          throw new DOMException("denied", "SecurityError");
        },
      });
    });
    page = await open(refused);
    await page.locator("#name").press("Enter");
    expect(await outputOf("echo here")).toBe("here\n");
    await page.locator("#command").press("ArrowUp");
    expect(await page.locator("#command").inputValue()).toBe("echo here");
    await refused.close();
  });

  it("has said nothing on the console but what was asked for", () => {
    expect(problems.filter((text) => !/net::ERR_INTERNET_DISCONNECTED/.test(text))).toEqual([]);
  });
});

/** Of a color as CSS computes it: WCAG's relative luminance. */
function luminance(color: string): number {
  const channel = (value: number) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const [red, green, blue] = color.match(/[\d.]+/g)!.map((part) => channel(Number(part) / 255));
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}
