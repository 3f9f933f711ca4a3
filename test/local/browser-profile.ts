import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { BoxRunClient } from "boxrun";
import { type BrowserContext, chromium, type Page } from "playwright";
import { serveFolder } from "../../demo/static-server.mjs";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";
import type { Outcome } from "../robustness/crashes/owner.js";
import { ROOT } from "../root.js";

/** What test/pages/boxes.mjs gives a page, for the functions that tests run in it. */
export interface PageScope {
  client: BoxRunClient;
  newClient(local?: object): BoxRunClient;
  /** Of a copy of the package at another origin. */
  newClientFrom(site: string): Promise<BoxRunClient>;
  failure(promise: Promise<unknown>): Promise<Outcome["error"]>;
  outcomeOf(promise: Promise<unknown>): Promise<Outcome>;
  /** See box-calls.mjs. What they say goes to `report`, which the test exposes. */
  calls: Record<string, (...args: unknown[]) => Promise<unknown>>;
  newCalls(local?: object): PageScope["calls"];
  readRecord(id: string): Promise<Record<string, unknown>>;
  writeRecord(id: string, record: object): Promise<void>;
  readDisk(id: string): Promise<[number, string][]>;
  databases(): Promise<string[]>;
  removeDatabase(id: string): Promise<void>;
  ageDatabase(id: string): Promise<void>;
  spoilCache(prefix: string): Promise<number>;
}

/** A Chromium with a profile folder of its own, which outlives the browser, and a site for it to visit. */
export class BrowserProfile {
  private readonly folder = mkdtempSync(join(tmpdir(), "boxrun-profile-"));
  private context: BrowserContext | undefined;
  /** What the server does with a request instead of answering it; false: it answers. */
  fault: (path: string, request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  /** Paths that were asked for. */
  asked: string[] = [];

  private constructor(
    private readonly server: Server,
    private readonly args: readonly string[],
  ) {}

  static async create(...args: string[]): Promise<BrowserProfile> {
    const files = serveFolder(pathToFileURL(join(ROOT, "/")), {
      "/test/pages/": "test/pages/",
      "/dist/browser/": "dist/browser/",
      "/dist/assets/": "dist/assets/",
    });
    const [answer] = files.listeners("request") as ((
      request: IncomingMessage,
      response: ServerResponse,
    ) => void)[];
    files.removeAllListeners("request");
    const profile: BrowserProfile = new BrowserProfile(files, args);
    files.on("request", (request: IncomingMessage, response: ServerResponse) => {
      const path = request.url ?? "";
      profile.asked.push(path);
      if (!profile.fault(path, request, response)) answer!(request, response);
    });
    files.listen(0, "127.0.0.1");
    await once(files, "listening");
    return profile;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** A page of the site. Starts the browser where there is none. */
  async open({ host = "127.0.0.1", before = "" } = {}): Promise<Page> {
    this.context ??= await chromium.launchPersistentContext(this.folder, {
      executablePath: findChromium(),
      args: [...CHROMIUM_ARGS, ...this.args],
    });
    const page = await this.context.newPage();
    if (before) await page.addInitScript(before);
    await page.goto(`http://${host}:${this.port}/test/pages/boxes.html`);
    await page.locator("html[data-ready]").waitFor();
    return page;
  }

  /** Kills the browser with all of its processes, at once. */
  async kill(): Promise<void> {
    const closed = this.context!.waitForEvent("close");
    process.kill(-this.pid(), "SIGKILL");
    await closed;
    this.context = undefined;
  }

  /** The files of IndexedDB, with their sizes in bytes. */
  databaseFiles(): string[] {
    const folder = join(this.folder, "Default/IndexedDB");
    if (!existsSync(folder)) return [];
    return readdirSync(folder, { recursive: true, encoding: "utf8" }).map(
      (name) => `${name} (${statSync(join(folder, name)).size})`,
    );
  }

  async close(): Promise<void> {
    await this.context?.close();
    this.server.closeAllConnections();
    this.server.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Of the browser's first process, which leads its group. */
  private pid(): number {
    const found = readdirSync("/proc").find((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return command.includes(`--user-data-dir=${this.folder}`) && !command.includes("--type=");
      } catch {
        // It has ended in the meantime.
        return false;
      }
    });
    return Number(found);
  }
}
