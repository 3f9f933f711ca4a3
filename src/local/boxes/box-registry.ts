import type { BoxInfo } from "../../backend/backend.js";
import { BoxRunError, isBoxRunError } from "../../backend/errors.js";
import { newestFirst } from "../../backend/lists.js";
import { OWN_BOX_ID } from "../../util/ids.js";
import { pause } from "../../util/timer.js";
import type { BoxStore, Release } from "../store/box-store.js";
import { type BoxRecord, describeDamaged, describeRecord, parseRecord } from "../store/record.js";
import type { LocalBox } from "./local-box.js";

/** Between two looks at whether those who run boxes elsewhere are still there. */
const OWNER_CHECK_MS = 1000;

/** Who finds a box whose owner has died holds it for a moment, to note that: nobody who starts it at that moment is to fail. */
const LOCK_TRIES = 10;
/** Where it is held by one who runs it: a page that was left lets go a moment after the next one has begun. */
const FIRM_LOCK_TRIES = 2;
const LOCK_RETRY_MS = 100;

/**
 * All boxes of a store: those that run here, those that run in another page or process, and those at rest. A status is never stored: it is what the lock says,
 * so a box whose owner has died reads as stopped.
 */
export class BoxRegistry {
  /** Boxes that run here. */
  readonly running = new Map<string, LocalBox>();

  private readonly watchers = new Set<() => void>();
  /** Boxes that were seen to run elsewhere. */
  private readonly elsewhere = new Set<string>();

  /** Records of boxes that ended here while there was no room for them: they tell why. */
  private readonly unwritten = new Map<string, BoxRecord>();
  private paused = false;

  constructor(readonly store: BoxStore) {}

  /** Whether boxes stand still. */
  get isPaused(): boolean {
    return this.paused;
  }

  /** Makes the boxes that run here stand still, and those to come, or lets them go on. */
  setPaused(paused: boolean): void {
    this.paused = paused;
    for (const box of this.running.values()) box.setPaused(paused);
  }

  /** A box runs here no more. `unwritten`: its record, where that could not be written. */
  ended(id: string, unwritten: BoxRecord | undefined): void {
    this.running.delete(id);
    if (unwritten) this.unwritten.set(id, unwritten);
    this.changed();
  }

  /** Tells those who watch: something may have changed. */
  changed(): void {
    for (const onChange of this.watchers) onChange();
  }

  /** Calls `onChange` when a box may have changed, here or elsewhere, until what it resolves to is called. It keeps a process alive until then. */
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

  /** An owner that dies tells nobody. Waiting in line for its lock would make others fail who try to take it. */
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

  /** The id of a box. BOX_NOT_FOUND. */
  async resolve(idOrName: string): Promise<string> {
    const here = this.running.get(idOrName);
    if (here?.held && !here.removed) return idOrName;
    // No name is shaped like an id.
    const found = OWN_BOX_ID.test(idOrName)
      ? await this.describe(idOrName)
      : (await this.list()).find(({ name }) => name === idOrName);
    if (found) return found.id;
    throw notFound(idOrName);
  }

  /** Every box, newest first. */
  async list(): Promise<BoxInfo[]> {
    const held = [...this.running.values()].filter((box) => box.held).map((box) => box.id);
    const ids = new Set([...(await this.store.list()), ...held]);
    const boxes = await Promise.all([...ids].map((id) => this.describe(id)));
    return newestFirst(boxes.filter((info) => info !== undefined));
  }

  /** BOX_NOT_FOUND. */
  async info(idOrName: string): Promise<BoxInfo> {
    const id = await this.resolve(idOrName);
    const info = await this.describe(id);
    if (!info) throw notFound(idOrName);
    return info;
  }

  /** Takes a box at rest. The lock is the caller's. BOX_LOCKED, BOX_NOT_FOUND, STATE_MISMATCH. */
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

  /** Removes a box at rest, if `condition` still holds once it is locked. Resolves to whether it did. BOX_LOCKED. */
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

  /** BOX_LOCKED. */
  private async lock(id: string, options = { brief: false }): Promise<Release> {
    // One that is ending here lets go when its Worker has let go of the disk.
    await this.running.get(id)?.ended;
    for (let tries = 1; ; tries++) {
      const release = await this.store.lock(id, options);
      if (release) return release;
      const owner = await this.store.lockOwner?.(id);
      // Nobody can be told of: it may have been let go meanwhile.
      const firm = owner !== undefined && !owner.brief;
      if (tries >= (firm ? FIRM_LOCK_TRIES : LOCK_TRIES)) throw await this.lockedElsewhere(id);
      await pause(LOCK_RETRY_MS);
    }
  }

  /** The error of a box that another page or process runs. */
  async lockedElsewhere(id: string): Promise<BoxRunError> {
    const found = await this.store.lockOwner?.(id);
    const owner = found?.who ?? "another page or process of this machine";
    const since = found?.since ?? null;
    const told = `${owner}${since ? `, since ${since.toISOString()}` : ""}`;
    return new BoxRunError("BOX_LOCKED", `box ${id} is run by ${told}`, {
      retryable: true,
      hint: `use it there, or stop it there first${found?.hint === undefined ? "" : `; ${found.hint}`}`,
      cause: Object.assign(new Error(told), { owner, since }),
    });
  }

  /** Undefined when there is no such box, or only what is left of a creation that was cut off. */
  private async describe(id: string): Promise<BoxInfo | undefined> {
    const here = this.running.get(id);
    if (here?.removed) return;
    if (here?.held) return here.info;
    const persistent = this.store.persistent === true;
    try {
      // In this order: a box that ends between the two reads as running, which it was.
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
      // One that cannot be read must not hide all others.
      if (isBoxRunError(error)) return describeDamaged(id, error);
      throw error;
    }
  }

  /** Removes what nobody has finished. */
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

  /** A run that was cut off ended at some time before it is found: that is when it counts as stopped. */
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
        // On a full disk it is only told, and written the next time.
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

  /** Null, too, where there is no room for a lock: on a full disk boxes can be seen all the same. */
  private async tryLock(id: string): Promise<Release | null> {
    try {
      return await this.store.lock(id, { brief: true });
    } catch (error) {
      if (isBoxRunError(error) && error.code === "STORAGE_FULL") return null;
      throw error;
    }
  }
}

/** The error of a box that is not there. */
export function notFound(idOrName: string): BoxRunError {
  return new BoxRunError("BOX_NOT_FOUND", `there is no box ${JSON.stringify(idOrName)}`);
}
