import { type Deferred, deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { factsOf } from "./directory-watch.js";
import { volumeErrorOf } from "./errno.js";
import type { SharedNode } from "./fids.js";
import { type Folder, FolderWatch, MAX_FOLDERS } from "./folder-watch.js";
import { isTemporary } from "./temporary-names.js";
import { MAX_PATH_BYTES, type NodeStat, type VolumeNode } from "./volume-files.js";
import type { WatchedNodes } from "./watched-nodes.js";

/** Paths that wait to be asked for. What is beyond is lost. */
const MAX_WAITING = 4096;
/** Files of which it is kept how the guest has left them. */
const MAX_OWN = 4096;
/** Time after which a question is answered, though nothing has changed. */
const ANSWER_MS = 10_000;
const GONE = "gone";

/** A volume that is shown to the guest. */
interface Shown {
  root: SharedNode;
  /** Calls back with the path of whatever others than the guest have changed, where the volume knows that. */
  watchForeign?(onChange: (path: string) => void): () => void;
}

/** What others than the guest change in its volumes: the host, the program and other boxes. Paths are those of the mount: "/0/dir/file"; of what is gone, that of its directory. */
export class ForeignChanges {
  private readonly paths = new Set<string>();
  private news: Deferred<void> = deferred();
  private readonly stops: (() => void)[] = [];
  private readonly watches = new Map<number, ForeignWatch>();
  private readonly room = { folders: MAX_FOLDERS };

  /** Begins with the volumes, in the order of their numbers. */
  constructor(
    volumes: readonly Shown[],
    private readonly nodes: WatchedNodes,
  ) {
    for (const [number, { root, watchForeign }] of volumes.entries()) {
      const onChange = (path: string) => this.add(`/${number}${path}`);
      if (watchForeign) this.stops.push(watchForeign(onChange));
      else this.watch(number, root, onChange);
    }
  }

  /** Resolves to paths that have changed, once any has or some time has passed. */
  async take(): Promise<string[]> {
    const stopTimer = startTimer(ANSWER_MS, () => this.news.resolve());
    await this.news.promise;
    stopTimer();
    this.news = deferred();
    const paths = [...this.paths];
    this.paths.clear();
    return paths;
  }

  /** Notes that the guest has changed a file, or an entry of a directory. */
  noteOwn(volume: number, node: VolumeNode, name?: string): void {
    void this.watches.get(volume)?.noteOwn(node, name);
  }

  close(): void {
    for (const stop of this.stops.splice(0)) stop();
  }

  private watch(number: number, root: SharedNode, onChange: (path: string) => void): void {
    if (!root.node.watch) return;
    const watch = new ForeignWatch(root.share(), this.nodes, onChange, this.room);
    this.watches.set(number, watch);
    this.stops.push(() => watch.close());
    // What cannot be watched is not.
    watch.begin().catch(() => {});
  }

  private add(path: string): void {
    if (this.paths.size >= MAX_WAITING || path.length > MAX_PATH_BYTES) return;
    this.paths.add(path);
    this.news.resolve();
  }
}

/** Watches a directory of the host with all below, as far as there is room. It keeps no entries: whatever the host tells of has changed, unless it is as the guest has left it. */
class ForeignWatch extends FolderWatch {
  /** Facts of files as the guest has left them, and of entries: which directory it has put there, or that it has removed what was there. */
  private readonly own = new Map<string, string>();

  constructor(
    root: SharedNode,
    nodes: WatchedNodes,
    private readonly onChange: (path: string) => void,
    private readonly room: { folders: number },
  ) {
    super(root, nodes, true);
  }

  async noteOwn(node: VolumeNode, name?: string): Promise<void> {
    try {
      const stat = await node.stat();
      const facts = name === undefined ? stat : await factsOf(node, name);
      if (facts?.kind === "directory") this.keep(keyOf(stat, name), keyOf(facts));
      else if (facts) this.keep(keyOf(facts), shown(facts));
      else this.keep(keyOf(stat, name), GONE);
    } catch {
      // Then it is taken for a change by the host, which does no harm.
    }
  }

  protected override admit(): void {}

  protected override async look(changed: Map<Folder, Set<string>>): Promise<void> {
    for (const [folder, names] of changed)
      for (const name of names) {
        await this.takeTurn();
        if (this.isOver) return;
        if (folder.isClosed || name === "." || isTemporary(name)) continue;
        try {
          await this.lookAt(folder, name);
        } catch {
          // One that cannot be looked at does not end the watch of the others.
        }
      }
  }

  protected override async lose(): Promise<void> {}

  protected override fail(): void {}

  protected override async child(folder: Folder, name: string): Promise<Folder | undefined> {
    if (this.room.folders <= 0) return undefined;
    try {
      const child = await super.child(folder, name);
      if (child) this.room.folders--;
      return child;
    } catch (error) {
      // Each try would cost as much again, and nobody misses the directories who does not watch them.
      if (volumeErrorOf(error).errno === "EMFILE") this.room.folders = 0;
      return undefined;
    }
  }

  protected override async attempt(folder: Folder, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch {
      this.leave(folder);
    }
  }

  protected override drop(folder: Folder): void {
    if (folder !== this.root) this.room.folders++;
  }

  private async lookAt(folder: Folder, name: string): Promise<void> {
    const facts = await factsOf(folder.node, name);
    if (!facts) return this.lookForGone(folder, name);
    if (facts.kind === "directory") {
      const child = await this.child(folder, name);
      if (child) await this.enter(child, true);
    }
    const place = keyOf(await folder.node.stat(), name);
    const isDirectory = facts.kind === "directory";
    // A directory changes with its entries, which are told of by themselves.
    if (isDirectory ? this.own.get(place) === keyOf(facts) : this.own.get(keyOf(facts)) === shown(facts))
      return;
    this.own.delete(place);
    this.tell(folder.pathOf(name));
  }

  private async lookForGone(folder: Folder, name: string): Promise<void> {
    const child = folder.folders.get(name);
    // It stays own: what was made and removed at once is told of more than once.
    const isOwn = this.own.get(keyOf(await folder.node.stat(), name)) === GONE;
    if (child) this.leave(child);
    if (!isOwn) this.tell(folder.pathOf());
  }

  /** Tells of a path, unless it is too long for a program to watch it. */
  private tell(path: string | undefined): void {
    if (path !== undefined) this.onChange(path);
  }

  private keep(key: string, facts: string): void {
    this.own.delete(key);
    this.own.set(key, facts);
    if (this.own.size <= MAX_OWN) return;
    const [oldest] = this.own.keys();
    this.own.delete(oldest!);
  }
}

type Facts = Pick<NodeStat, "kind" | "device" | "inode" | "size" | "mode" | "mtimeMs" | "ctimeMs">;

function keyOf({ device, inode }: Pick<Facts, "device" | "inode">, name?: string): string {
  return name === undefined ? `${device}:${inode}` : `${device}:${inode}/${name}`;
}

function shown({ size, mode, mtimeMs, ctimeMs }: Facts): string {
  return `${size}:${mode}:${mtimeMs}:${ctimeMs}`;
}
