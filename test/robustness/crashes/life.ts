import { rmSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { checkDisk, copyOut } from "../../local/check-disk.js";
import { within } from "../faults/within.js";
import { FILLER, FOLDER, LIST, type Load, UNFILL, UNSYNCED, writerOf } from "./guest.js";
import type { Host } from "./hosts.js";
import { CallError, type Owner, OwnerGone, type Said } from "./owner.js";
import type { Kill, Plan } from "./plan.js";
import { listOf, READERS } from "./records.js";

/** Far more than any step takes on a slow, busy machine: what takes longer will never end. */
const LIMIT_MS = 120_000;
/** A machine that cannot write ends within this, on a busy machine, too. */
const ENDING_MS = 30_000;
const ENDING_PAUSE_MS = 100;
const MAX_BOXES = 3;

interface Box {
  name: string;
  id: string;
  /** Of each load, the last number of which it is known that it is stored. */
  acknowledged: Map<Load, number>;
  /** Of those that a flush stores, the last number that was told, and the last before the flush under way. */
  told: Map<Load, number>;
  covered: Map<Load, number>;
  /** All files that its disk holds, in words. */
  files: string;
  /** False while it is being made or removed: then it may be there, whole, or not at all. */
  sure: boolean;
}

/** What came of a life. */
export interface Tally {
  kills: number;
  /** Times that there was no room any more. */
  full: number;
  /** Records that were acknowledged, all boxes and loads together. */
  records: number;
}

/** Boxes that live through kills. Collects what must not be. */
export class Life {
  readonly violations: string[] = [];
  readonly tally: Tally = { kills: 0, full: 0, records: 0 };
  private readonly boxes: Box[] = [];
  private owner: Owner | undefined;
  private made = 0;
  /** Owners that are gone. */
  private killed = 0;
  /** Since the boxes last began to write. */
  private heard = 0;
  private onRecord = () => {};

  constructor(
    private readonly host: Host,
    private readonly plan: Plan,
    private readonly scratch: string,
  ) {}

  /** Ends with the plan, or with the first kill after which something is not as it must be. */
  async run(): Promise<void> {
    await this.step("the beginning", async () => {
      await this.openOwner();
      for (const loads of this.plan.boxes) await this.create(loads);
    });
    if (this.violations.length > 0) return;
    for (const [index, kill] of this.plan.kills.entries()) {
      await this.step(`kill ${index + 1} (${kill.moment})`, async () => {
        await this.die(kill);
        await this.recover();
      });
      if (this.violations.length > 0) return;
    }
    await this.step("the end", () => this.end());
  }

  /** Ends the owner, if there is one. */
  async close(): Promise<void> {
    await this.owner?.kill();
  }

  private async step(what: string, work: () => Promise<void>): Promise<void> {
    const before = this.violations.length;
    await within(LIMIT_MS, work()).catch((error) =>
      this.violations.push(
        error instanceof Error && !(error instanceof CallError) ? error.stack! : `${error}`,
      ),
    );
    for (let i = before; i < this.violations.length; i++)
      this.violations[i] = `${what}: ${this.violations[i]}`;
  }

  /** From boxes that run to boxes that do not: but for "full", their owner is dead. */
  private async die(kill: Kill): Promise<void> {
    const writing = this.write();
    await this.written(kill.records);
    if (kill.moment === "full") return this.fill(kill, writing);
    const [first] = this.boxes as [Box];
    const last = this.boxes.at(-1)!;
    if (kill.moment === "create" && this.boxes.length < MAX_BOXES)
      return this.killDuring(kill, this.create(["append", "files"]));
    if (kill.moment === "stop") return this.killDuring(kill, this.owner!.call("stop", first.name));
    if (kill.moment === "remove" || kill.moment === "create") return this.killDuring(kill, this.remove(last));
    if (kill.moment === "write") return this.killDuring(kill, Promise.resolve());
    await this.kill();
    await this.openOwner();
    const starts = () => Promise.all(this.boxes.map(({ name }) => this.owner!.call("start", name)));
    return this.killDuring(kill, kill.moment === "start" ? starts() : this.owner!.call("list"));
  }

  private async killDuring({ delayMs }: Kill, work: Promise<unknown>): Promise<void> {
    const settled = work.catch((error) => {
      if (!(error instanceof OwnerGone)) this.violations.push(`it failed before it was killed: ${error}`);
    });
    await delay(delayMs);
    await this.kill();
    await settled;
  }

  private async kill(): Promise<void> {
    this.tally.kills++;
    const { owner } = this;
    this.owner = undefined;
    await owner!.kill();
    this.killed++;
    this.forgetUnstored();
  }

  /** What a machine had not stored when it ended, no flush of the next one stores. */
  private forgetUnstored(): void {
    for (const { told, covered } of this.boxes) {
      told.clear();
      covered.clear();
    }
  }

  /** Lists the boxes once none of them reads running: its commands fail before its machine has let go of the disk. */
  private async listEnded(): Promise<Info[]> {
    const until = performance.now() + ENDING_MS;
    for (;;) {
      const infos = await this.owner!.call<Info[]>("list");
      if (infos.every(({ status }) => status !== "running") || performance.now() > until) return infos;
      await delay(ENDING_PAUSE_MS);
    }
  }

  /** All that is written fails once there is no room. What was acknowledged until then stays. */
  private async fill({ roomBytes }: Kill, writing: Promise<unknown>[]): Promise<void> {
    this.tally.full++;
    await this.host.limit(roomBytes);
    const fillers = this.boxes.map(({ name }) => this.owner!.call("exec", name, FILLER));
    const failed = async (work: Promise<unknown>, ...codes: string[]) => {
      const reason = await work.then(
        () => "no error",
        (error) => error,
      );
      if (!(reason instanceof CallError && codes.includes(reason.code ?? "")))
        this.violations.push(`there is no room, and what is written ends with ${reason}`);
    };
    await Promise.all([
      ...writing.map((work) => failed(work, "STORAGE_FULL")),
      // Its box may have come to its end before it began.
      ...fillers.map((work) => failed(work, "STORAGE_FULL", "BOX_NOT_RUNNING")),
    ]);
    // Where there was no room for the record of how it ended, it reads as any box whose owner has gone.
    for (const { name, status, errorCode } of await this.listEnded())
      if (status !== "stopped" && errorCode !== "STORAGE_FULL")
        this.violations.push(`there is no room, and ${name} is in status ${status} (${errorCode})`);
    this.forgetUnstored();
    await this.host.limit(null);
  }

  /** What is there is what was acknowledged, and nothing beside it. All boxes run afterwards. */
  private async recover(): Promise<void> {
    this.host.age();
    if (!this.owner) await this.openOwner();
    await this.account();
    for (const box of this.boxes) await this.checkDisk(box);
    await Promise.all(this.boxes.map((box) => this.checkGuest(box)));
    const leftovers = await this.host.leftovers(
      this.boxes.map(({ id }) => id),
      { named: false },
    );
    if (leftovers.length > 0) this.violations.push(`left behind: ${leftovers.join(", ")}`);
    if (this.boxes.length === 0) await this.create(this.plan.boxes[0]!);
  }

  /** A box that was being made or removed is there or is not; every other is there, and at rest. */
  private async account(): Promise<void> {
    const found = await this.owner!.call<Info[]>("list");
    for (const { name, status, errorCode } of found) {
      if (!this.boxes.some((box) => box.name === name)) this.violations.push(`there is a box ${name}`);
      const full = status === "error" && errorCode === "STORAGE_FULL";
      if (status !== "stopped" && !full)
        this.violations.push(`${name} is in status ${status} (${errorCode})`);
    }
    for (const box of [...this.boxes]) {
      const info = found.find(({ name }) => name === box.name);
      if (info) box.id = info.id;
      else if (box.sure)
        this.violations.push(`there is no box ${box.name} any more${await this.lookAgain(box)}`);
      if (info) box.sure = true;
      else this.boxes.splice(this.boxes.indexOf(box), 1);
    }
  }

  /** Whether a box that was not listed is there all the same: a list that is wrong is another fault than a box that is gone. */
  private async lookAgain({ name }: Box): Promise<string> {
    const found = await this.owner!.call<Info[]>("list");
    const isListed = found.some((info) => info.name === name);
    return `: a second list ${isListed ? "has" : "lacks"} it; kept is: ${(await this.host.kept()).join(", ")}`;
  }

  /** Looks at all that the disk of a box holds. */
  private async checkDisk(box: Box): Promise<void> {
    const folder = join(this.scratch, "records");
    const say = (what: string) => this.violations.push(`${box.name}: ${what}`);
    try {
      checkDisk(await this.host.disk(box.id), this.scratch, (copy) => copyOut(copy, FOLDER, folder));
    } catch (error) {
      say(error instanceof Error ? error.message : `${error}`);
      return;
    }
    const records = join(folder, basename(FOLDER));
    for (const [load, acknowledged] of box.acknowledged) {
      const { last, bad } = READERS[load](records);
      for (const what of bad) say(`${load}: ${what}`);
      if (last < acknowledged) say(`${load}: ${acknowledged} was acknowledged, and ${last} is there`);
      box.acknowledged.set(load, last);
    }
    box.files = listOf(records);
    rmSync(folder, { recursive: true });
  }

  /** Starts a box. It sees what is on its disk. */
  private async checkGuest({ name, files }: Box): Promise<void> {
    await this.owner!.call("start", name);
    const commands = await this.owner!.call<{ status: string }[]>("executions", name);
    if (commands.some(({ status }) => status === "running"))
      this.violations.push(`${name}: a command lives on`);
    const seen = await this.owner!.call<string>("exec", name, LIST);
    if (seen !== files) this.violations.push(`${name}: the disk holds\n${files}and the box sees\n${seen}`);
    if (files.includes("./fill")) await this.owner!.call("exec", name, UNFILL);
  }

  /** Nothing is left of boxes that are removed, and nothing to mend in one that is stopped. */
  private async end(): Promise<void> {
    await this.create(["append"]);
    for (const { name, id } of this.boxes) {
      await this.owner!.call("stop", name);
      checkDisk(await this.host.disk(id), this.scratch);
      await this.owner!.call("remove", name);
    }
    const found = await this.owner!.call<Info[]>("list");
    const leftovers = await this.host.leftovers([], { named: true });
    if (found.length + leftovers.length > 0) this.violations.push(`left behind: ${leftovers.join(", ")}`);
  }

  private async openOwner(): Promise<void> {
    const { killed } = this;
    // What one has said that is gone by now is about machines that are gone.
    const receive = (said: Said) => killed === this.killed && this.receive(said);
    this.owner = await this.host.open(receive, this.plan.durability);
  }

  private async create(loads: Load[]): Promise<void> {
    const box: Box = {
      name: `box-${++this.made}`,
      id: "",
      files: "",
      acknowledged: new Map(loads.map((load) => [load, 0])),
      told: new Map(),
      covered: new Map(),
      sure: false,
    };
    this.boxes.push(box);
    box.id = await this.owner!.call<string>("create", box.name);
    box.sure = true;
  }

  private async remove(box: Box): Promise<void> {
    box.sure = false;
    await this.owner!.call("remove", box.name);
    this.boxes.splice(this.boxes.indexOf(box), 1);
  }

  /** Lets all boxes go on writing. What this returns ends when they cannot any more. */
  private write(): Promise<unknown>[] {
    this.heard = 0;
    return this.boxes.map(({ name, acknowledged }) => {
      const writing = this.owner!.call("write", name, writerOf(acknowledged));
      const puts = acknowledged.get("put");
      // Its box may come to its end between two of them.
      if (puts !== undefined) this.owner!.call("put", name, FOLDER, puts).catch(() => {});
      // Whoever kills knows why; whoever does not waits for it.
      writing.catch(() => {});
      return writing;
    });
  }

  private written(records: number): Promise<void> {
    return new Promise((resolve) => {
      this.onRecord = () => {
        if (this.heard >= records) resolve();
      };
      this.onRecord();
    });
  }

  private receive({ box: name, line, flush }: Said): void {
    const box = this.boxes.find((each) => each.name === name);
    if (flush === "began" && box) box.covered = new Map(box.told);
    if (flush === "ended")
      for (const [load, number] of box?.covered ?? []) this.acknowledge(box!, load, number);
    if (line === undefined) return;
    const [load, number] = line.split(" ") as [Load, string];
    if (!/^\d+$/.test(number)) return void this.violations.push(`${name} says: ${line}`);
    if (UNSYNCED.has(load)) box?.told.set(load, Number(number));
    else if (box) this.acknowledge(box, load, Number(number));
  }

  private acknowledge(box: Box, load: Load, number: number): void {
    const records = number - box.acknowledged.get(load)!;
    box.acknowledged.set(load, number);
    this.tally.records += records;
    this.heard += records;
    this.onRecord();
  }
}

interface Info {
  id: string;
  name: string | null;
  status: string;
  errorCode: string | null;
}
