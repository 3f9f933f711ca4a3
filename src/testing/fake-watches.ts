import type { FileChange } from "../backend/backend.js";
import { EventQueue } from "../util/event-queue.js";
import type { FakeFile } from "./fake-execution.js";

/** A change by the path of a file, as text. */
export type FakeChange =
  | { type: "created" | "changed" | "removed"; path: string }
  | { type: "renamed"; path: string; from: string };

/** The files of a fake box, which tell when they are changed. Programs get them, too. */
export class WatchedFiles extends Map<string, FakeFile> {
  /** Called after each change, unless the change is part of a larger one. */
  onChange: (change: FakeChange) => void = () => {};

  override set(path: string, file: FakeFile): this {
    const type = this.has(path) ? "changed" : "created";
    super.set(path, file);
    this.onChange({ type, path });
    return this;
  }

  override delete(path: string): boolean {
    const had = super.delete(path);
    if (had) this.onChange({ type: "removed", path });
    return had;
  }

  /** Makes a change of several steps, which counts as the one that is given. */
  as(change: FakeChange, make: () => void): void {
    const { onChange } = this;
    this.onChange = () => {};
    try {
      make();
    } finally {
      this.onChange = onChange;
    }
    onChange(change);
  }
}

interface Watch {
  path: string;
  recursive: boolean;
  queue: EventQueue<FileChange>;
}

/** The watches of a fake box. */
export class FakeWatches {
  private readonly open = new Set<Watch>();

  /** Number of watches that have not ended. */
  get count(): number {
    return this.open.size;
  }

  /** Watches a path that exists. */
  watch(
    path: string,
    { recursive, signal }: { recursive: boolean; signal?: AbortSignal },
  ): EventQueue<FileChange> {
    const queue = new EventQueue<FileChange>({ overflow: { type: "overflow", path: bytesOf(path) }, signal });
    return queue.feed(() => {
      const watch: Watch = { path, recursive, queue };
      this.open.add(watch);
      return () => this.open.delete(watch);
    });
  }

  /** Ends all watches with an error. */
  fail(reason: unknown): void {
    for (const { queue } of this.open) queue.fail(reason);
  }

  /** Tells all watches of a change that has been made. */
  report(change: FakeChange): void {
    for (const watch of this.open) {
      const seen = seenBy(watch, change);
      if (seen) watch.queue.push(seen);
      const gone =
        change.type === "renamed" ? change.from : change.type === "removed" ? change.path : undefined;
      if (gone === undefined || !isWithin(watch.path, gone, true)) continue;
      if (seen?.type !== "removed") watch.queue.push({ type: "removed", path: bytesOf(watch.path) });
      watch.queue.end();
    }
  }
}

function seenBy({ path: root, recursive }: Watch, change: FakeChange): FileChange | undefined {
  const sees = (path: string) => path === root || isWithin(path, root, recursive);
  const path = bytesOf(change.path);
  if (change.type !== "renamed") return sees(change.path) ? { type: change.type, path } : undefined;
  const from = bytesOf(change.from);
  if (sees(change.path))
    return sees(change.from) ? { type: "renamed", path, from } : { type: "created", path };
  return sees(change.from) ? { type: "removed", path: from } : undefined;
}

/** Returns true if a path is the given directory's, or with `deep` anywhere below it or the directory itself. */
function isWithin(path: string, directory: string, deep: boolean): boolean {
  if (deep && path === directory) return true;
  const start = directory === "/" ? "/" : `${directory}/`;
  return path.startsWith(start) && (deep || !path.slice(start.length).includes("/"));
}

function bytesOf(path: string): Uint8Array {
  return new TextEncoder().encode(path);
}
