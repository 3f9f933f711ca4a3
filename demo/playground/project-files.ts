import { type MemoryVolume, memoryVolume } from "boxrun/local";
import type { KeptFile, ProjectStore } from "./project-store.js";

/** How long after a change files are kept, so that many changes are one write. */
const QUIET_MS = 300;
/** Size above which a file is used, but not kept: it can be made again by whatever made it. */
const KEPT_BYTES = 16 * 2 ** 20;
const DIRECTORY_MODE = 0o755;

/** An entry of a project, by its path. */
export interface ProjectEntry {
  readonly path: string;
  readonly isDirectory: boolean;
}

/** The files of a project: a memory volume, which its box mounts, kept in the browser as it changes. */
export class ProjectFiles {
  private readonly watching = new AbortController();
  private readonly dirty = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private saving: Promise<void> = Promise.resolve();
  /** Paths that are kept. */
  private readonly kept: Set<string>;
  /** Paths of which has been said that they are not kept. */
  private readonly told = new Set<string>();

  private constructor(
    private readonly id: string,
    private readonly store: ProjectStore,
    readonly volume: MemoryVolume,
    kept: Iterable<string>,
    private readonly on: { change: (paths: ReadonlySet<string>) => void; error: (error: unknown) => void },
  ) {
    this.kept = new Set(kept);
    void this.follow();
  }

  /** Opens the files of a project, or makes them of texts if there are none. */
  static async open(
    id: string,
    store: ProjectStore,
    first: Readonly<Record<string, string>>,
    on: ProjectFiles["on"],
  ): Promise<ProjectFiles> {
    const kept = await store.files(id);
    const volume = memoryVolume();
    for (const [path, { data, mode }] of kept) {
      const made = data
        ? volume.files.write(path, data, { mode })
        : volume.files.mkdir(path, { recursive: true, mode });
      // One that cannot be made must not keep the others away.
      await made.catch(on.error);
    }
    const files = new ProjectFiles(id, store, volume, kept.keys(), on);
    if (kept.size === 0) await volume.files.writeAll(first);
    return files;
  }

  /** Lists everything, directories before what is in them, up to a number of entries. */
  async list(limit: number): Promise<ProjectEntry[]> {
    const found: ProjectEntry[] = [];
    const visit = async (directory: string) => {
      const listed = await this.volume.files.list(directory || "/");
      const order = (entry: (typeof listed)[number]) => (entry.type === "directory" ? 0 : 1);
      for (const entry of listed.sort((a, b) => order(a) - order(b))) {
        if (found.length >= limit) return;
        const path = `${directory}/${entry.name}`;
        found.push({ path, isDirectory: entry.type === "directory" });
        if (entry.type === "directory") await visit(path);
      }
    };
    await visit("");
    return found;
  }

  /** Keeps what has changed, now. */
  save(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.saving = this.saving.then(() => this.keep()).catch(this.on.error);
    return this.saving;
  }

  /** Keeps what has changed, and ends. */
  async close(): Promise<void> {
    this.watching.abort();
    await this.save();
  }

  private async follow(): Promise<void> {
    const { signal } = this.watching;
    try {
      for await (const event of this.volume.files.watch({ signal })) {
        if (event.type === "overflow") for (const { path } of await this.list(Infinity)) this.dirty.add(path);
        if (event.type === "overflow") for (const path of this.kept) this.dirty.add(path);
        if (event.type === "renamed") for (const path of this.below(event.from)) this.dirty.add(path);
        if (event.type === "renamed") await this.addAll(event.path);
        this.dirty.add(event.path);
        this.on.change(this.dirty);
        this.timer ??= setTimeout(() => void this.save(), QUIET_MS);
      }
    } catch (error) {
      if (!signal.aborted) this.on.error(error);
    }
  }

  /** Kept paths that are a path or below it. */
  private below(path: string): string[] {
    return [...this.kept, path].filter((kept) => kept === path || kept.startsWith(`${path}/`));
  }

  /** Adds what is below a directory that came as a whole. */
  private async addAll(directory: string): Promise<void> {
    for (const { path } of await this.list(Infinity))
      if (path.startsWith(`${directory}/`)) this.dirty.add(path);
  }

  private async keep(): Promise<void> {
    const paths = [...this.dirty].filter((path) => path !== "/");
    this.dirty.clear();
    const changed = new Map<string, KeptFile>();
    const removed: string[] = [];
    for (const path of paths) {
      const file = await this.fileAt(path);
      if (file) changed.set(path, file);
      else removed.push(...this.below(path));
    }
    try {
      await this.store.saveFiles(this.id, changed, removed);
    } catch (error) {
      // As where the browser has no room: the next change tries these again.
      for (const path of paths) this.dirty.add(path);
      throw error;
    }
    for (const path of removed) this.kept.delete(path);
    for (const path of changed.keys()) this.kept.add(path);
  }

  /** Returns a file as it is kept, undefined for what is not there and for what is not kept, which is said once. */
  private async fileAt(path: string): Promise<KeptFile | undefined> {
    try {
      const { type, size, mode } = await this.volume.files.lstat(path);
      if (type === "directory") return { data: null, mode: DIRECTORY_MODE };
      if (type !== "file") return this.tell(path, "it is no ordinary file");
      if (size > KEPT_BYTES) return this.tell(path, "it has more than 16 MB");
      return { data: await this.volume.files.read(path), mode };
    } catch (error) {
      if (error instanceof Error && /ENOENT|ENOTDIR/.test(String((error.cause as { code?: string })?.code)))
        return undefined;
      throw error;
    }
  }

  private tell(path: string, why: string): undefined {
    if (this.told.has(path)) return;
    this.told.add(path);
    this.on.error(new Error(`${path.slice(1)} is there until this page closes, and is not kept: ${why}`));
  }
}
