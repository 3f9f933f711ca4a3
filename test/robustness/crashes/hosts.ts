import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, statfsSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BrowserProfile, type PageScope } from "../../local/browser-profile.js";
import { writeDisk } from "../../local/check-disk.js";
import type { Owner, Said } from "./owner.js";
import { PageOwner } from "./page-owner.js";
import { ProcessOwner } from "./process-owner.js";

// Given to `evaluate`, run in the page.
declare const readDisk: PageScope["readDisk"];
declare const databases: PageScope["databases"];

/** Where boxes live, whoever owns them at the time. */
export interface Host {
  readonly name: string;
  open(onSaid: (said: Said) => void, durability: string): Promise<Owner>;
  /** Whatever has been left in haste is seen as left for good from now on. */
  age(): void;
  /** The disk of a box at rest, as a file. */
  disk(id: string): Promise<string>;
  /**
   * What is kept beside these boxes, which are running, and beside what belongs to them. `named`: a box with a name has been made since the last kill, which clears what was left in
   * the making of others.
   */
  leftovers(ids: readonly string[], options: { named: boolean }): Promise<string[]>;
  /** Names of all that is kept, whatever lists of boxes say. */
  kept(): Promise<string[]>;
  /** Lets so many bytes more be stored; null: as many as there is room for. */
  limit(roomBytes: number | null): Promise<void>;
  close(): Promise<void>;
}

/** Takes longer than any leftover is let lie. */
const LONG_AGO = new Date(0);
const OWN_FILES = /^(box\.json|history\.jsonl|disk|lock\.\d+|\.live-[0-9a-f]{8})$/;
const MOUNT_ATTEMPTS = 100;
/** Far more than the boxes of a plan write. */
const STATE_BYTES = 2 * 2 ** 30;

/**
 * Node processes that own boxes in a folder, one after the other. The folder is a file system of its own, which can be full: in a user namespace of its own, too, so it needs no root and is gone with the
 * process that holds it.
 */
export class NodeHost implements Host {
  readonly name = "Node";

  private constructor(
    private readonly scratch: string,
    private readonly holder: ChildProcess,
  ) {}

  static async create(): Promise<NodeHost> {
    const scratch = mkdtempSync(join(tmpdir(), "boxrun-crashes-"));
    const setUp = `mount -t tmpfs -o size=${STATE_BYTES} none "$1" && echo mounted && exec sleep 100000`;
    const holder = spawn("unshare", ["-r", "-m", "sh", "-c", setUp, "sh", scratch], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const mounted = await Promise.race([once(holder.stdout, "data"), once(holder, "exit").then(() => null)]);
    if (!mounted) throw new Error("there is no file system of its own to be had here: unshare has failed");
    return new NodeHost(scratch, holder);
  }

  async open(onSaid: (said: Said) => void, durability: string): Promise<Owner> {
    return new ProcessOwner(this.scratch, onSaid, { options: { durability }, within: this.within });
  }

  age(): void {
    for (const path of this.walk())
      if (/\/\.(new|lock|live)-[^/]*$/.test(path)) utimesSync(path, LONG_AGO, LONG_AGO);
  }

  async disk(id: string): Promise<string> {
    return join(this.seen, "boxes", id, "disk");
  }

  async leftovers(ids: readonly string[], { named }: { named: boolean }): Promise<string[]> {
    const boxes = join(this.seen, "boxes");
    return this.walk()
      .map((path) => path.slice(this.seen.length + 1))
      .filter((path) => {
        const [top, box, file] = path.split("/");
        if (top === "changes") return box !== undefined && box !== "last";
        if (top === "names")
          return box !== undefined && !/^lock\.\d+$/.test(box) && (named || !/^\.(lock|live)-/.test(box));
        if (top !== "boxes" || box === undefined) return path !== "boxes";
        if (!ids.includes(box)) return true;
        return file !== undefined && !OWN_FILES.test(file);
      })
      .concat(
        // One lock each: numbers that were given up are gone.
        ids.filter(
          (id) => readdirSync(join(boxes, id)).filter((name) => /^(lock\.|\.live-)/.test(name)).length !== 2,
        ),
      );
  }

  async kept(): Promise<string[]> {
    return this.walk().map((path) => path.slice(this.seen.length + 1));
  }

  async limit(roomBytes: number | null): Promise<void> {
    for (let left = MOUNT_ATTEMPTS; ; left--) {
      const { blocks, bfree, bsize } = statfsSync(this.seen);
      const size = roomBytes === null ? STATE_BYTES : (blocks - bfree) * bsize + roomBytes;
      const [program, ...args] = [...this.within, "mount", "-o", `remount,size=${size}`, this.scratch];
      const { status, stderr } = spawnSync(program as string, args, { encoding: "utf8" });
      if (status === 0) return;
      // Refused where more has been written in the meantime than there is to be room for.
      if (left === 0) throw new Error(stderr);
    }
  }

  async close(): Promise<void> {
    const ended = once(this.holder, "exit");
    this.holder.kill("SIGKILL");
    await ended;
    rmSync(this.scratch, { recursive: true, force: true });
  }

  private get within(): string[] {
    return ["nsenter", "-t", String(this.holder.pid), "-U", "-m", "--preserve-credentials"];
  }

  /** The folder, from outside. */
  private get seen(): string {
    return `/proc/${this.holder.pid}/root${this.scratch}`;
  }

  private walk(): string[] {
    if (!existsSync(this.seen)) return [];
    const names = readdirSync(this.seen, { recursive: true, encoding: "utf8" });
    return names.map((name) => join(this.seen, name));
  }
}

/** A Chromium with a profile, started again after each kill, with one page at a time. */
export class ChromiumHost implements Host {
  readonly name = "Chromium";
  private owner: PageOwner | undefined;

  private constructor(
    private readonly profile: BrowserProfile,
    private readonly scratch: string,
  ) {}

  static async create(): Promise<ChromiumHost> {
    const scratch = mkdtempSync(join(tmpdir(), "boxrun-crashes-"));
    return new ChromiumHost(await BrowserProfile.create(), scratch);
  }

  async open(onSaid: (said: Said) => void, durability: string): Promise<Owner> {
    this.owner = await PageOwner.open(this.profile, onSaid, { durability });
    return this.owner;
  }

  age(): void {}

  async disk(id: string): Promise<string> {
    const path = join(this.scratch, "disk");
    writeDisk(path, await this.page.evaluate((boxId) => readDisk(boxId), id));
    return path;
  }

  async leftovers(ids: readonly string[]): Promise<string[]> {
    const names = await this.page.evaluate(() => databases());
    return names.filter((name) => !ids.some((id) => name === `boxrun:${id}`));
  }

  async kept(): Promise<string[]> {
    return [...(await this.page.evaluate(() => databases())), ...this.profile.databaseFiles()];
  }

  async limit(roomBytes: number | null): Promise<void> {
    const { origin } = new URL(this.page.url());
    const browser = await this.page.context().newCDPSession(this.page);
    if (roomBytes === null) return void (await browser.send("Storage.overrideQuotaForOrigin", { origin }));
    const { usage } = await browser.send("Storage.getUsageAndQuota", { origin });
    await browser.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: usage + roomBytes });
  }

  async close(): Promise<void> {
    await this.profile.close();
    rmSync(this.scratch, { recursive: true, force: true });
  }

  private get page() {
    if (!this.owner) throw new Error("there is no page yet");
    return this.owner.page;
  }
}
