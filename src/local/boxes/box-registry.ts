import type { BoxInfo } from "../../backend/backend.js";
import { BoxRunError, isBoxRunError } from "../../backend/errors.js";
import { newestFirst } from "../../backend/lists.js";
import { OWN_BOX_ID } from "../../util/ids.js";
import { pause } from "../../util/timer.js";
import type { BoxStore, Release } from "../store/box-store.js";
import { type BoxRecord, describeDamaged, describeRecord, parseRecord } from "../store/record.js";
import type { LocalBox } from "./local-box.js";

/** Interval of the checks whether the owners of boxes that run elsewhere still live. */
const OWNER_CHECK_MS = 1000;

/** Retries for a lock that is held briefly: whoever finds a box with a dead owner locks it to record that, and a start at that moment must not fail. */
const LOCK_TRIES = 10;
/** Retries for a lock whose owner runs the box: a page that was left releases it a moment after the next one has begun. */
const FIRM_LOCK_TRIES = 2;
const LOCK_RETRY_MS = 100;

/**
 * All boxes of a store: those that run here, those that run in another page or process, and stopped ones. A status is never stored; it follows from the lock,
 * so a box with a dead owner counts as stopped.
 */
export class BoxRegistry {
  /** Boxes that run here. */
  readonly running = new Map<string, LocalBox>();

  private readonly watchers = new Set<() => void>();
  /** Ids of boxes that were last seen running elsewhere. */
  private readonly elsewhere = new Set<string>();

  /** Records of boxes that ended here when there was no room to store them. They say why. */
  private readonly unwritten = new Map<string, BoxRecord>();
  private paused = false;

  constructor(readonly store: BoxStore) {}

  /** Whether boxes are paused. */
  get isPaused(): boolean {
    return this.paused;
  }

  /** Pauses or resumes the boxes that run here, now and later. */
  setPaused(paused: boolean): void {
    this.paused = paused;
    for (const box of this.running.values()) box.setPaused(paused);
  }

  /** Notes that a box no longer runs here. `unwritten` is its record, if that could not be written. */
  ended(id: string, unwritten: BoxRecord | undefined): void {
    this.running.delete(id);
    if (unwritten) this.unwritten.set(id, unwritten);
    this.changed();
  }

  /** Notifies watchers that a box may have changed. */
  changed(): void {
    for (const onChange of this.watchers) onChange();
  }

  /** Calls `onChange` when a box may have changed, here or elsewhere, until the function that it resolves to is called. Keeps a process alive until then. */
  async watch(onChange: () => void): Promise<() => void> {
    const stopStore = await this.store.watch?.(onChange);
    const life = new AbortController();
    this.watchers.add(onChange);
    void this.watchOwners(life.signal);
    return () => {
      life.abort();
      this.watchers.delete(onChange);
      stopStore?.();
    };
  }

  /** Polls for owners that have died, which nothing reports. Queueing for their locks would make others fail that try to take them. */
  private async watchOwners(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const id of this.elsewhere) {
        if (await this.store.isLocked(id).catch(() => true)) continue;
        this.elsewhere.delete(id);
        this.changed();
      }
      await pause(OWNER_CHECK_MS, signal).catch(() => {});
    }
  }

  /** Resolves to the id of a box. @throws {BoxRunError} BOX_NOT_FOUND */
  async resolve(idOrName: string): Promise<string> {
    const here = this.running.get(idOrName);
    if (here?.held && !here.removed) return idOrName;
    // No name looks like an id.
    const found = OWN_BOX_ID.test(idOrName)
      ? await this.describe(idOrName)
      : (await this.list()).find(({ name }) => name === idOrName);
    if (found) return found.id;
    throw notFound(idOrName);
  }

  /** Lists all boxes, newest first. */
  async list(): Promise<BoxInfo[]> {
    const held = [...this.running.values()].filter((box) => box.held).map((box) => box.id);
    const ids = new Set([...(await this.store.list()), ...held]);
    const boxes = await Promise.all([...ids].map((id) => this.describe(id)));
    return newestFirst(boxes.filter((info) => info !== undefined));
  }

  /** Describes a box. @throws {BoxRunError} BOX_NOT_FOUND */
  async info(idOrName: string): Promise<BoxInfo> {
    const id = await this.resolve(idOrName);
    const info = await this.describe(id);
    if (!info) throw notFound(idOrName);
    return info;
  }

  /** Locks a stopped box; the caller releases it. @throws {BoxRunError} BOX_LOCKED, BOX_NOT_FOUND, STATE_MISMATCH */
  async take(id: string): Promise<{ record: BoxRecord; release: Release }> {
    const release = await this.lock(id);
    try {
      const stored = await this.store.readRecord(id);
      if (stored === undefined) throw notFound(id);
      return { record: parseRecord(id, stored), release };
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** Removes a stopped box, if `condition` still holds once it is locked. Resolves to whether it did. @throws {BoxRunError} BOX_LOCKED */
  async remove(id: string, condition?: (record: BoxRecord) => boolean): Promise<boolean> {
    const release = await this.lock(id, { brief: true });
    try {
      if (condition) {
        const stored = await this.store.readRecord(id);
        if (stored === undefined || !condition(parseRecord(id, stored))) return false;
      }
      await this.store.remove(id);
      this.unwritten.delete(id);
      return true;
    } finally {
      await release();
      this.changed();
    }
  }

  /** Locks a box, with retries. @throws {BoxRunError} BOX_LOCKED */
  private async lock(id: string, options = { brief: false }): Promise<Release> {
    // A box that is ending here releases its lock when its Worker has closed the disk.
    await this.running.get(id)?.ended;
    for (let tries = 1; ; tries++) {
      const release = await this.store.lock(id, options);
      if (release) return release;
      const owner = await this.store.lockOwner?.(id);
      // Without a known owner, the lock may have been released meanwhile.
      const firm = owner !== undefined && !owner.brief;
      if (tries >= (firm ? FIRM_LOCK_TRIES : LOCK_TRIES)) throw await this.lockedElsewhere(id);
      await pause(LOCK_RETRY_MS);
    }
  }

  /** Creates the error for a box that another page or process runs. */
  async lockedElsewhere(id: string): Promise<BoxRunError> {
    const found = await this.store.lockOwner?.(id);
    const owner = found?.who ?? "another page or process on this machine";
    const since = found?.since ?? null;
    const told = `${owner}${since ? `, since ${since.toISOString()}` : ""}`;
    return new BoxRunError("BOX_LOCKED", `box ${id} is in use by ${told}`, {
      retryable: true,
      hint: `use it there, or stop it there first${found?.hint === undefined ? "" : `; ${found.hint}`}`,
      cause: Object.assign(new Error(told), { owner, since }),
    });
  }

  /** Describes a box. Undefined when there is none, or only the rest of an interrupted creation. */
  private async describe(id: string): Promise<BoxInfo | undefined> {
    const here = this.running.get(id);
    if (here?.removed) return;
    if (here?.held) return here.info;
    const persistent = this.store.persistent === true;
    try {
      // The lock is read first: a box that ends between the two reads counts as running, which it was.
      const locked = await this.store.isLocked(id);
      if (locked) this.elsewhere.add(id);
      else this.elsewhere.delete(id);
      const stored = await this.store.readRecord(id);
      if (stored === undefined) return locked ? undefined : await this.clear(id);
      const record = parseRecord(id, stored);
      if (locked) return describeRecord(record, true, persistent);
      if (!record.made) return await this.clear(id);
      const cutOff = record.stoppedAt === null;
      return describeRecord(cutOff ? await this.settle(id, record) : record, false, persistent);
    } catch (error) {
      // A box that cannot be read must not hide all others.
      if (isBoxRunError(error)) return describeDamaged(id, error);
      throw error;
    }
  }

  /** Removes the rest of an interrupted creation. */
  private async clear(id: string): Promise<undefined> {
    const release = await this.tryLock(id);
    if (!release) return;
    try {
      const stored = await this.store.readRecord(id);
      const made = stored !== undefined && parseRecord(id, stored).made;
      if (!made) await this.store.remove(id);
    } finally {
      await release();
    }
  }

  /** Sets the time at which an interrupted run ended to now, since the real time is unknown. */
  private async settle(id: string, record: BoxRecord): Promise<BoxRecord> {
    const known = this.unwritten.get(id);
    const settled =
      known && known.startedAt === record.startedAt
        ? known
        : { ...record, stoppedAt: new Date().toISOString() };
    const release = await this.tryLock(id);
    if (!release) return settled;
    try {
      const stored = await this.store.readRecord(id);
      if (stored !== undefined && parseRecord(id, stored).stoppedAt === null) {
        // On a full disk it is only reported, and written the next time.
        await this.store.writeRecord(id, settled).then(
          () => this.unwritten.delete(id),
          () => {},
        );
      }
    } finally {
      await release();
    }
    return settled;
  }

  /** Tries to lock a box. Null, too, when there is no room for a lock, so that boxes can be listed on a full disk. */
  private async tryLock(id: string): Promise<Release | null> {
    try {
      return await this.store.lock(id, { brief: true });
    } catch (error) {
      if (isBoxRunError(error) && error.code === "STORAGE_FULL") return null;
      throw error;
    }
  }
}

/** Creates the error for a box that does not exist. */
export function notFound(idOrName: string): BoxRunError {
  return new BoxRunError("BOX_NOT_FOUND", `there is no box ${JSON.stringify(idOrName)}`);
}
