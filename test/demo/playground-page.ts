import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright";
import { afterAll, beforeAll, expect } from "vitest";
import { PREVIEW, SITE, serveFolder } from "../../demo/static-server.mjs";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";
import { ROOT } from "../root.js";

/** The playground in Chromium, as a visitor uses it. All tests of a file share one. */
export class Playground {
  browser!: Browser;
  context!: BrowserContext;
  page!: Page;
  url = "";
  /** Errors that a page has thrown or that its console has shown. */
  readonly problems: string[] = [];
  private readonly servers: Server[] = [];

  /** Serves the page and its previews, and opens it. */
  async start(): Promise<void> {
    const root = new URL(`file://${ROOT}/`);
    const previewUrl = `${await this.serve(serveFolder(root, PREVIEW))}/`;
    const settings = JSON.stringify({ previewUrl });
    this.url = `${await this.serve(serveFolder(root, SITE, { "/settings.json": settings }))}/`;
    // A host without https, as in a classroom.
    const args = [...CHROMIUM_ARGS, "--host-resolver-rules=MAP insecure.test 127.0.0.1"];
    this.browser = await chromium.launch({ executablePath: findChromium(), args });
    this.context = await this.browser.newContext({ viewport: { width: 1280, height: 800 } });
    this.page = await this.open();
  }

  async stop(): Promise<void> {
    await this.browser.close();
    for (const server of this.servers) server.close();
  }

  /** Opens the page in another tab, and resolves when it can be used. */
  async open(within = this.context, url = this.url): Promise<Page> {
    const opened = await within.newPage();
    // Below that of a test, so that what was waited for is named. A first Python takes long on a busy machine.
    opened.setDefaultTimeout(55_000);
    opened.on("pageerror", (error) => this.problems.push(error.message));
    opened.on("console", (message) => message.type() === "error" && this.problems.push(message.text()));
    await opened.goto(url);
    await opened.locator("html[data-ready]").waitFor();
    return opened;
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await this.page.locator("html[data-ready]").waitFor();
  }

  /** Starts a project from an example. */
  async create(example: string, open: string): Promise<void> {
    await this.page.locator("#new").click();
    await this.page.locator(`[data-example=${example}]`).click();
    await this.page.locator("#editor-path").getByText(open, { exact: true }).waitFor();
  }

  /** Opens another project, and resolves when its file is in the editor. */
  async select(title: string, open: string): Promise<void> {
    await this.page.locator("#project").selectOption(title);
    await this.page.locator("#editor-path").getByText(open, { exact: true }).waitFor();
  }

  /** The commands that were run since the project was opened, and the last of them. */
  get entries() {
    return this.page.locator("#log li:not(.earlier)");
  }

  get last() {
    return this.entries.last();
  }

  /** Presses Run. Resolves to the output of the program, when it has ended. */
  async run(): Promise<string> {
    const before = await this.entries.count();
    await this.page.locator("#run").click();
    return this.endOf(before);
  }

  /** Runs a command by the line below the output. Resolves to its output when it has ended. */
  async outputOf(command: string): Promise<string> {
    const before = await this.entries.count();
    await this.type(command);
    return this.endOf(before);
  }

  /** Starts a command by the line below the output. */
  async type(command: string): Promise<void> {
    await this.page.locator("#show-output").click();
    await this.page.locator("#command").fill(command);
    await this.page.locator("#command").press("Enter");
  }

  /** Replaces the text of the file that is open. */
  async write(text: string): Promise<void> {
    await this.page.locator(".cm-content").click();
    await this.page.keyboard.press("Control+a");
    await this.page.keyboard.insertText(text);
  }

  /** Opens a file by the list of files. */
  async openFile(name: string): Promise<void> {
    await this.page.locator("#file-list").getByRole("button", { name, exact: true }).click();
    await this.page.locator("#editor-path").getByText(name).waitFor();
  }

  /** The text in the editor. */
  get editor() {
    return this.page.locator(".cm-content");
  }

  /** Resolves to whether an element is in view as it is, without scrolling to it as Playwright's own clicks would. */
  isInView(selector: string): Promise<boolean> {
    return this.page.locator(selector).evaluate((element) => {
      const { top, bottom, left, right, height } = element.getBoundingClientRect();
      const { innerHeight, innerWidth } = element.ownerDocument.defaultView;
      return height > 0 && top >= 0 && bottom <= innerHeight && left >= 0 && right <= innerWidth;
    });
  }

  /** Paths of all files that the browser keeps, of all projects. */
  keptPaths(): Promise<string[]> {
    return this.page.evaluate(`new Promise((resolve) => {
      const open = indexedDB.open("boxrun-project-files");
      open.onsuccess = () => {
        const keys = open.result.transaction("entries").objectStore("entries").getAllKeys();
        keys.onsuccess = () => {
          open.result.close();
          resolve(keys.result.map(([, path]) => path));
        };
      };
    })`);
  }

  private async endOf(at: number): Promise<string> {
    const entry = this.entries.nth(at);
    const outcome = entry.locator("small").filter({ hasNotText: "running…" });
    await outcome.waitFor().catch(async (error) => {
      throw new Error(
        `${error.message}\nThe page says: ${await this.page.locator("#message").textContent()}`,
      );
    });
    const [how, message] = [await outcome.textContent(), await this.page.locator("#message").textContent()];
    expect(how, message ?? "").toContain("exit code");
    return (await entry.locator("pre").textContent()) ?? "";
  }

  private async serve(server: Server): Promise<string> {
    this.servers.push(server.listen(0, "127.0.0.1"));
    await once(server, "listening");
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
}

/** Opens the playground for the tests of a file, and closes it after them. */
export function usePlayground(): Playground {
  const playground = new Playground();
  beforeAll(() => playground.start());
  afterAll(() => playground.stop());
  return playground;
}
