import { startTimer } from "../../util/timer.js";
import { treeName } from "./folder-handles.js";
import type { MirroredFolder } from "./folder-mirror.js";
import type { FolderStore } from "./folder-store.js";

/** Least time between two looks at a folder, and the share of the time that is spent on them. */
const POLL_MS = 1000;
const POLL_SHARE = 0.2;
/** Most time between two looks. */
const MAX_POLL_MS = 15_000;

/** A change as Chromium's FileSystemObserver reports it. */
interface ChangeRecord {
  type: "appeared" | "disappeared" | "modified" | "moved" | "unknown" | "errored";
  /** Names on the way from the folder. */
  relativePathComponents: readonly string[];
  relativePathMovedFrom?: readonly string[] | null;
}

interface Observer {
  observe(handle: unknown, options: { recursive: boolean }): Promise<void>;
  disconnect(): void;
}

type ObserverConstructor = new (onChange: (records: readonly ChangeRecord[]) => void) => Observer;

/** Takes over what others change in a folder, until the returned function is called: as the browser tells, or else by looking at all of it again and again. */
export function watchFolder(store: FolderStore): () => void {
  const { FileSystemObserver: Observer } = globalThis as { FileSystemObserver?: ObserverConstructor };
  let stop: () => void = () => {};
  let stopRetry: () => void = () => {};
  let isOver = false;
  const poll = () => {
    stop();
    if (!isOver) stop = lookAgain(store, { isOnce: false });
  };
  // What could not be read now is told of no more.
  const retry = () => {
    stopRetry();
    if (!isOver) stopRetry = lookAgain(store, { isOnce: true });
  };
  if (!Observer) poll();
  else {
    const observer = new Observer((records) => {
      if (records.some(({ type }) => type === "errored")) poll();
      else void store.exclusively(() => takeRecords(store, records)).catch(retry);
    });
    stop = () => observer.disconnect();
    observer.observe(store.mirror.root.handle, { recursive: true }).catch(poll);
  }
  return () => {
    isOver = true;
    stop();
    stopRetry();
  };
}

/** Looks at all of a folder again and again, or until it could once be read, or the returned function is called. */
function lookAgain(store: FolderStore, { isOnce }: { isOnce: boolean }): () => void {
  let stopTimer: () => void = () => {};
  let isOver = false;
  const look = async () => {
    let tookMs = 0;
    const takeAll = async () => {
      // Without the wait for what the box writes.
      const atMs = performance.now();
      await store.mirror.takeAll().finally(() => {
        tookMs = performance.now() - atMs;
      });
    };
    // A folder that cannot be read now may be there again later.
    const isDone = await store.exclusively(takeAll).then(
      () => isOnce,
      () => false,
    );
    if (!isDone) start(Math.min(Math.max(POLL_MS, tookMs / POLL_SHARE), MAX_POLL_MS));
  };
  const start = (waitMs: number) => {
    if (!isOver) stopTimer = startTimer(waitMs, () => void look());
  };
  start(POLL_MS);
  return () => {
    isOver = true;
    stopTimer();
  };
}

/** @throws {VolumeError} after all the rest, when something could not be read */
async function takeRecords({ mirror }: FolderStore, records: readonly ChangeRecord[]): Promise<void> {
  if (records.some(({ type }) => type === "unknown")) return mirror.takeAll();
  // One look is enough for all changes of an entry.
  const changes = new Map<string, { path: readonly string[]; mayBeAnother: boolean }>();
  for (const { type, relativePathComponents, relativePathMovedFrom } of records)
    for (const path of [relativePathMovedFrom ?? [], relativePathComponents]) {
      if (path.length === 0) continue;
      const key = path.join("/");
      const mayBeAnother = type !== "modified" || changes.get(key)?.mayBeAnother === true;
      changes.set(key, { path, mayBeAnother });
    }
  let failed: { error: unknown } | undefined;
  for (const { path, mayBeAnother } of changes.values())
    await takePath(mirror, path, mayBeAnother).catch((error) => {
      failed ??= { error };
    });
  if (failed) throw failed.error;
}

/** Takes over what there is at a path now, or at its first name that is new. A directory may be another one than before. */
async function takePath(
  mirror: FolderStore["mirror"],
  path: readonly string[],
  mayBeAnother: boolean,
): Promise<void> {
  let folder: MirroredFolder = mirror.root;
  for (const [depth, name] of path.entries()) {
    const named = treeName(name);
    if (named === undefined) return;
    const next = folder.entries.get(named);
    const isLast = depth === path.length - 1;
    if (isLast || !next || !("entries" in next))
      return mirror.takeOne(folder, named, name, mayBeAnother && isLast);
    folder = next;
  }
}
