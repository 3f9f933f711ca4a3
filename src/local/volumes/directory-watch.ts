import { VolumeError, volumeErrorOf } from "./errno.js";
import type { SharedNode } from "./fids.js";
import { type Folder, FolderWatch, found } from "./folder-watch.js";
import { isTemporary } from "./temporary-names.js";
import type { WatchListener } from "./volume-calls.js";
import type { NodeEntry, NodeStat, VolumeNode } from "./volume-files.js";
import type { WatchedNodes } from "./watched-nodes.js";

/** Most files that are compared. */
const MAX_FILES = 500_000;

type Facts = Pick<NodeStat, "kind" | "device" | "inode" | "size" | "mode" | "mtimeMs" | "ctimeMs">;

/** An entry that has come, gone or changed. One that another has taken the place of is "replaced". */
interface Step {
  type: "created" | "changed" | "removed" | "replaced";
  folder: Folder;
  name: string;
  facts: Facts;
  /** The directory, if it is one that is watched. */
  child: Folder | undefined;
}

/**
 * Finds out what changes in a directory, with all directories below it or alone: the entries that may have changed are compared with what was known of them. The same file under another name
 * is "renamed", if both are seen together.
 */
export class DirectoryWatch extends FolderWatch {
  private readonly known = new Map<Folder, Map<string, Facts>>();
  private files = 0;

  /**
   * Takes over the directory.
   *
   * @param only the one entry to watch, whose path is that of the watch
   */
  constructor(
    shared: SharedNode,
    nodes: WatchedNodes,
    recursive: boolean,
    private readonly listener: WatchListener,
    private readonly only?: string,
  ) {
    super(shared, nodes, recursive);
  }

  /** Ends the watch by itself, since what it watches is gone. */
  vanish(): void {
    if (this.isOver) return;
    this.close();
    this.listener.onChange({ type: "removed", path: "" });
    this.listener.onEnd();
  }

  protected override async admit(folder: Folder, { name }: NodeEntry, isNew: boolean): Promise<void> {
    if (!this.isWatched(name)) return;
    const facts = await factsOf(folder.node, name);
    if (!facts || this.entriesOf(folder).has(name)) return;
    this.remember(folder, name, facts);
    if (isNew) this.tell("created", folder, name);
  }

  protected override async look(changed: Map<Folder, Set<string>>): Promise<void> {
    const steps: Step[] = [];
    for (const [folder, names] of changed)
      for (const name of this.namesIn(folder, names)) {
        await this.takeTurn();
        if (this.isOver) return;
        if (this.isWatched(name) && !folder.isClosed) steps.push(...(await this.compare(folder, name)));
      }
    const moves = movesOf(steps);
    const arrivals = new Set(moves.values());
    for (const step of steps) {
      if (this.isOver) return;
      if (!step.folder.isClosed && !arrivals.has(step)) await this.take(step, moves.get(step));
    }
    if (!this.only && !this.isOver && (await this.isGone())) this.vanish();
  }

  protected override async lose(): Promise<void> {
    this.listener.onChange({ type: "overflow", path: "" });
    for (const folder of [...this.known.keys()]) await this.attempt(folder, () => this.noteAll(folder));
  }

  protected override fail(error: VolumeError): void {
    this.close();
    this.listener.onFailure(error);
  }

  protected override drop(folder: Folder): void {
    this.files -= this.known.get(folder)?.size ?? 0;
    this.known.delete(folder);
  }

  private async isGone(): Promise<boolean> {
    try {
      return (await this.root.node.stat()).links === 0;
    } catch (error) {
      if (volumeErrorOf(error).errno === "ESTALE") return true;
      throw error;
    }
  }

  /** Notes that all entries of a directory may have changed. */
  private async noteAll(folder: Folder): Promise<void> {
    for (const name of this.entriesOf(folder).keys()) this.note(folder, name);
    for (const { name } of folder.isClosed ? [] : await folder.node.list()) this.note(folder, name);
  }

  /** Watches a directory that has moved, and all below it, again where watches stay with the path. */
  private async watchAgain(first: Folder): Promise<void> {
    const pending = new Set([first]);
    for (const folder of pending) {
      if (!folder.node.watchesPath || folder.isClosed) continue;
      folder.stop();
      folder.stop = () => {};
      await this.attempt(folder, async () => {
        this.start(folder);
        await this.noteAll(folder);
      });
      for (const child of folder.folders.values()) pending.add(child);
    }
  }

  /** Returns the names to look at. "." may stand for a number. */
  private namesIn(folder: Folder, names: ReadonlySet<string>): Iterable<string> {
    if (!names.has(".")) return names;
    return new Set([...names, ...[...this.entriesOf(folder).keys()].filter((name) => /^\d+$/.test(name))]);
  }

  /** Compares an entry with what was known of it. */
  private async compare(folder: Folder, name: string): Promise<Step[]> {
    const before = this.entriesOf(folder).get(name);
    const now = await factsOf(folder.node, name);
    const child = folder.folders.get(name);
    const step = (type: Step["type"], facts: Facts): Step => ({ type, folder, name, facts, child });
    if (!now) return before ? [step("removed", before)] : [];
    if (!before) return [step("created", now)];
    if (!isSame(before, now)) return [step("replaced", before), step("created", now)];
    return isChanged(before, now) ? [step("changed", now)] : [];
  }

  /** Takes a step. `to` is where the entry has come again. */
  private async take({ type, folder, name, facts, child }: Step, to: Step | undefined): Promise<void> {
    if (type === "created") return this.appear(folder, name, facts);
    if (type === "changed") {
      this.entriesOf(folder).set(name, facts);
      this.tell("changed", folder, name);
      // One that was left out may be readable now.
      return this.enterChild(folder, name, facts);
    }
    this.forget(folder, name, facts);
    if (to && !to.folder.isClosed) return this.rename(folder, name, child, to);
    if (child) this.leave(child);
    if (type === "replaced") return;
    this.tell("removed", folder, name);
    if (this.only) this.end();
  }

  private async appear(folder: Folder, name: string, facts: Facts): Promise<void> {
    this.remember(folder, name, facts);
    this.tell("created", folder, name);
    await this.enterChild(folder, name, facts);
  }

  private async enterChild(folder: Folder, name: string, { kind }: Facts): Promise<void> {
    const child = kind === "directory" && (await this.child(folder, name));
    if (child) await this.enter(child, true);
  }

  private async rename(folder: Folder, name: string, child: Folder | undefined, to: Step): Promise<void> {
    const from = folder.pathOf(name);
    const path = to.folder.pathOf(to.name);
    this.remember(to.folder, to.name, to.facts);
    if (path === undefined || from === undefined) this.listener.onChange({ type: "overflow", path: "" });
    else this.listener.onChange({ type: "renamed", path, from });
    if (!child) return;
    this.move(child, to.folder, to.name);
    await this.watchAgain(child);
  }

  private end(): void {
    this.close();
    this.listener.onEnd();
  }

  private tell(type: "created" | "changed" | "removed", folder: Folder, name: string): void {
    const path = this.only ? "" : folder.pathOf(name);
    this.listener.onChange(path === undefined ? { type: "overflow", path: "" } : { type, path });
  }

  private isWatched(name: string): boolean {
    return this.only === undefined ? !isTemporary(name) : name === this.only;
  }

  private entriesOf(folder: Folder): Map<string, Facts> {
    const entries = this.known.get(folder) ?? new Map<string, Facts>();
    if (!folder.isClosed) this.known.set(folder, entries);
    return entries;
  }

  private remember(folder: Folder, name: string, facts: Facts): void {
    const entries = this.entriesOf(folder);
    if (!entries.has(name) && ++this.files > MAX_FILES) throw new VolumeError("ENOSPC");
    entries.set(name, facts);
  }

  /** Forgets an entry, unless another has taken its place already. */
  private forget(folder: Folder, name: string, facts: Facts): void {
    const entries = this.entriesOf(folder);
    if (entries.get(name) && isSame(entries.get(name)!, facts) && entries.delete(name)) this.files--;
  }
}

/** Returns the facts of an entry; undefined when there is none. */
export async function factsOf(folder: VolumeNode, name: string): Promise<Facts | undefined> {
  const node = await found(folder, name);
  try {
    return node && (await node.stat());
  } finally {
    node?.close();
  }
}

function isSame(one: Facts, other: Facts): boolean {
  return one.kind === other.kind && one.device === other.device && one.inode === other.inode;
}

function isChanged(before: Facts, now: Facts): boolean {
  return (["size", "mode", "mtimeMs", "ctimeMs"] as const).some((fact) => before[fact] !== now[fact]);
}

/** Finds for entries that have gone where they have come again. */
function movesOf(steps: readonly Step[]): Map<Step, Step> {
  const moves = new Map<Step, Step>();
  const come = new Map<string, Step[]>();
  for (const step of steps)
    if (step.type === "created")
      for (const key of [keyOf(step.facts, true), keyOf(step.facts, false)])
        come
          .set(key, come.get(key) ?? [])
          .get(key)!
          .push(step);
  const taken = new Set<Step>();
  for (const step of steps) {
    if (step.type !== "removed" && step.type !== "replaced") continue;
    const places = come.get(keyOf(step.facts, step.child !== undefined));
    let to = places?.shift();
    while (to && taken.has(to)) to = places?.shift();
    if (!to) continue;
    taken.add(to);
    moves.set(step, to);
  }
  return moves;
}

/**
 * Returns a key that a file has under another name, too: one that is new may have got the number of one that is gone, but not that of a directory that is held, since it is watched. That one
 * has another time if its entries have changed.
 */
function keyOf({ kind, device, inode, size, mtimeMs }: Facts, isHeld: boolean): string {
  const identity = `${kind}:${device}:${inode}`;
  return isHeld ? identity : `${identity}:${size}:${mtimeMs}`;
}
