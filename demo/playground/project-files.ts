import { type MemoryVolume, memoryVolume } from "boxrun/local";
import type { KeptFile, ProjectStore } from "./project-store.js";

/** How long after a change files are kept, so that many changes are one write; and after a failure, when that is tried again. */
const QUIET_MS = 50;
const RETRY_MS = 5000;
/** Size above which a file is used, but not kept. */
const KEPT_BYTES = 16 * 2 ** 20;

/** An entry of a project, by its path. */
export interface ProjectEntry {
  readonly path: string;
  readonly isDirectory: boolean;
}

/** Place where files are kept. */
export type FileStore = Pick<ProjectStore, "files" | "saveFiles">;

/** Callbacks by which the files of a project report. */
export interface FileEvents {
  /** Paths that have changed and are not kept yet. */
  change(paths: ReadonlySet<string>): void;
  /** Everything that has changed is kept. */
  saved(): void;
  error(error: unknown): void;
}

/** The files of a project: a memory volume, which its box mounts, kept in the browser as it changes. */
export class ProjectFiles {
  private readonly watching = new AbortController();
  private readonly dirty = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Time when the timer ends, as `performance.now()` counts. */
  private due = 0;
  private saving: Promise<void> = Promise.resolve();
  /** Paths that are kept, and whether they are directories. */
  private readonly kept: Map<string, boolean>;
  /** Paths of which has been said that they are not kept. */
  private readonly told = new Set<string>();

  private constructor(
    private readonly id: string,
    private readonly store: FileStore,
    readonly volume: MemoryVolume,
    kept: ReadonlyMap<string, KeptFile>,
    private readonly on: FileEvents,
  ) {
    this.kept = new Map([...kept].map(([path, { data }]) => [path, data === null]));
    void this.follow();
  }

  /** Opens the files of a project, or makes them of texts if there are none. */
  static async open(
    id: string,
    store: FileStore,
    first: Readonly<Record<string, string>>,
    on: FileEvents,
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
    const files = new ProjectFiles(id, store, volume, kept, on);
    if (kept.size === 0) await volume.files.writeAll(first);
    return files;
  }

  /** Lists everything below a directory, directories before what is in them, up to a number of entries. */
  async list(limit: number, below = ""): Promise<ProjectEntry[]> {
    const found: ProjectEntry[] = [];
    const visit = async (directory: string) => {
      // A name that is no text, or a path that is too long, stands for nothing that could be listed.
      const listed = await this.volume.files.list(directory || "/").catch(() => []);
      const order = (entry: (typeof listed)[number]) => (entry.type === "directory" ? 0 : 1);
      for (const entry of listed.sort((a, b) => order(a) - order(b))) {
        if (found.length >= limit) return;
        const path = `${directory}/${entry.name}`;
        found.push({ path, isDirectory: entry.type === "directory" });
        if (entry.type === "directory") await visit(path);
      }
    };
    await visit(below);
    return found;
  }

  /** Whether a file has changed since it was kept. */
  isUnsaved(path: string): boolean {
    return this.dirty.has(path);
  }

  /** Keeps what has changed, now. Rejects when that cannot be done; it is tried again in a while, and with each later change. */
  save(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.saving = this.saving.catch(() => {}).then(() => this.keep());
    return this.saving;
  }

  /** Ends. Whatever is not saved yet is lost. */
  close(): void {
    clearTimeout(this.timer);
    this.watching.abort();
  }

  /** Lets those changes be noted that were made before. */
  async settle(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve));
  }

  private saveSoon(ms: number): void {
    const due = performance.now() + ms;
    // A change does not wait for a retry.
    if (this.timer !== undefined && this.due <= due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => void this.save().catch(this.on.error), ms);
  }

  private async follow(): Promise<void> {
    const { signal } = this.watching;
    try {
      for await (const event of this.volume.files.watch({ signal })) {
        if (event.type === "overflow") for (const path of this.kept.keys()) this.dirty.add(path);
        if (event.type === "renamed") this.addKeptBelow(event.from);
        if (event.type === "renamed" || event.type === "overflow")
          for (const { path } of await this.list(Infinity, event.type === "renamed" ? event.path : ""))
            this.dirty.add(path);
        this.dirty.add(event.path);
        this.on.change(this.dirty);
        this.saveSoon(QUIET_MS);
      }
    } catch (error) {
      if (!signal.aborted) this.on.error(error);
    }
  }

  private addKeptBelow(path: string): void {
    this.dirty.add(path);
    if (!this.kept.get(path)) return;
    for (const one of this.kept.keys()) if (one.startsWith(`${path}/`)) this.dirty.add(one);
  }

  private async keep(): Promise<void> {
    const paths = [...this.dirty].filter((path) => path !== "/");
    this.dirty.clear();
    try {
      const changed = new Map<string, KeptFile>();
      const removed = new Set<string>();
      for (const path of paths) {
        const file = await this.fileAt(path);
        if (file === "gone") removed.add(path);
        else if (file !== "not kept") changed.set(path, file);
      }
      if (removed.size > 0)
        for (const path of this.kept.keys()) if (hasAncestor(path, removed)) removed.add(path);
      await this.store.saveFiles(this.id, changed, removed);
      for (const path of removed) this.kept.delete(path);
      for (const [path, { data }] of changed) this.kept.set(path, data === null);
    } catch (error) {
      // As where the browser has no room.
      for (const path of paths) this.dirty.add(path);
      this.saveSoon(RETRY_MS);
      throw error;
    }
    if (this.dirty.size === 0) this.on.saved();
  }

  /** Returns a file as it is kept. What is not kept is said once. */
  private async fileAt(path: string): Promise<KeptFile | "gone" | "not kept"> {
    try {
      const { type, size, mode } = await this.volume.files.lstat(path);
      if (type === "directory") return { data: null, mode };
      if (type !== "file") return this.tell(path, "it is a link");
      if (size > KEPT_BYTES) return this.tell(path, "it has more than 16 MB");
      return { data: await this.volume.files.read(path), mode };
    } catch (error) {
      const { code = "" } = ((error as Error).cause ?? {}) as { code?: string };
      if (["ENOENT", "ENOTDIR"].includes(code)) return "gone";
      return this.tell(path, (error as Error).message);
    }
  }

  private tell(path: string, why: string): "not kept" {
    const isNew = !this.told.has(path);
    this.told.add(path);
    if (isNew)
      this.on.error(new Error(`${path.slice(1)} is not kept when this project is closed, since ${why}`));
    return "not kept";
  }
}

function hasAncestor(path: string, among: ReadonlySet<string>): boolean {
  for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1))
    if (among.has(path.slice(0, at))) return true;
  return false;
}
