import type { BoxInfo } from "../backend.js";
import { BoxRunError, isBoxRunError } from "../errors.js";
import { OWN_BOX_ID } from "../util/ids.js";
import type { LocalBox } from "./local-box.js";
import type { BoxStore, Release } from "./state/box-store.js";
import { type BoxRecord, describeDamaged, describeRecord, parseRecord } from "./state/record.js";

/**
 * All boxes of a store: those that run here, those that run in another page or process, and those at rest. A status is never stored: it is what the lock says,
 * so a box whose owner has died reads as stopped.
 */
export class BoxRegistry {
  /** Boxes that run here. */
  readonly running = new Map<string, LocalBox>();

  constructor(readonly store: BoxStore) {}

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

  /** Every box, oldest first. */
  async list(): Promise<BoxInfo[]> {
    const held = [...this.running.values()].filter((box) => box.held).map((box) => box.id);
    const ids = new Set([...(await this.store.list()), ...held]);
    const boxes = await Promise.all([...ids].map((id) => this.describe(id)));
    return boxes
      .filter((info) => info !== undefined)
      .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || (a.id < b.id ? -1 : 1));
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
    const release = await this.lock(id);
    try {
      if (condition) {
        const stored = await this.store.readRecord(id);
        if (stored === undefined || !condition(parseRecord(id, stored))) return false;
      }
      await this.store.remove(id);
      return true;
    } finally {
      await release();
    }
  }

  /** BOX_LOCKED. */
  private async lock(id: string): Promise<Release> {
    const release = await this.store.lock(id);
    if (release) return release;
    throw await this.lockedElsewhere(id);
  }

  /** The error of a box that another page or process runs. */
  async lockedElsewhere(id: string): Promise<BoxRunError> {
    const owner = await this.store.lockOwner?.(id);
    return new BoxRunError("BOX_LOCKED", `box ${id} runs in another page or process of this machine`, {
      retryable: true,
      hint: `use it there, or stop it there first${owner === undefined ? "" : ` (${owner})`}`,
    });
  }

  /** Undefined when there is no such box, or only what is left of a creation that was cut off. */
  private async describe(id: string): Promise<BoxInfo | undefined> {
    const here = this.running.get(id);
    if (here?.removed) return;
    if (here?.held) return here.info;
    const persistent = this.store.persistent === true;
    // In this order: a box that ends between the two reads as running, which it was.
    const locked = await this.store.isLocked(id);
    try {
      const stored = await this.store.readRecord(id);
      if (stored === undefined) return locked ? undefined : await this.clear(id);
      const record = parseRecord(id, stored);
      if (locked) return describeRecord(record, true, persistent);
      if (!record.made) return await this.clear(id);
      const cutOff = record.stoppedAt === null;
      return describeRecord(cutOff ? await this.settle(id, record) : record, false, persistent);
    } catch (error) {
      if (isBoxRunError(error) && error.code === "STATE_MISMATCH") return describeDamaged(id, error);
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
    const settled = { ...record, stoppedAt: new Date().toISOString() };
    const release = await this.tryLock(id);
    if (!release) return settled;
    try {
      const stored = await this.store.readRecord(id);
      if (stored !== undefined && parseRecord(id, stored).stoppedAt === null) {
        // On a full disk it is only told, and written the next time.
        await this.store.writeRecord(id, settled).catch(() => {});
      }
    } finally {
      await release();
    }
    return settled;
  }

  /** Null, too, where there is no room for a lock: on a full disk boxes can be seen all the same. */
  private async tryLock(id: string): Promise<Release | null> {
    try {
      return await this.store.lock(id);
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
