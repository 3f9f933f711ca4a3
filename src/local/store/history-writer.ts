import { startTimer } from "../../util/timer.js";
import type { BoxStore } from "./box-store.js";
import { entryBytes, HISTORY_BYTES, HISTORY_LIMIT, newestEntries } from "./history.js";

/** Time for which entries are collected before they are written: a shorter command takes one write. */
const DELAY_MS = 100;
/** Number of entries after which the history is rewritten without those that no longer count. A command has up to two. */
const SLACK = 2 * HISTORY_LIMIT;

/**
 * Writes the history of a running box. A failure is not reported to the command: the entries are then missing from the history,
 * and a full disk shows in the box's own writes.
 */
export class HistoryWriter {
  private readonly pending = new Map<string, object>();
  private stopTimer: (() => void) | undefined;
  private writing: Promise<void> = Promise.resolve();
  /** Entries since the history was last rewritten. */
  private written: number;
  private writtenBytes = 0;

  constructor(
    private readonly store: BoxStore,
    private readonly boxId: string,
    /** Whether there may be a history already, of whatever length. */
    old: boolean,
  ) {
    this.written = old ? SLACK : 0;
  }

  /** Adds an entry. The latest one of a command is the one that counts. */
  add(execId: string, entry: object): void {
    this.pending.set(execId, entry);
    this.stopTimer ??= startTimer(DELAY_MS, () => void this.flush());
  }

  /** Resolves when all added entries are written, as far as they can be. */
  flush(): Promise<void> {
    this.stopTimer?.();
    this.stopTimer = undefined;
    const entries = [...this.pending.values()];
    this.pending.clear();
    if (entries.length > 0) this.writing = this.writing.then(() => this.write(entries)).catch(() => {});
    return this.writing;
  }

  private async write(entries: object[]): Promise<void> {
    await this.store.appendHistory(this.boxId, entries);
    this.written += entries.length;
    for (const entry of entries) this.writtenBytes += entryBytes(entry);
    if (this.written <= SLACK && this.writtenBytes <= HISTORY_BYTES) return;
    this.written = 0;
    this.writtenBytes = 0;
    const all = await this.store.readHistory(this.boxId);
    const kept = newestEntries(all);
    if (kept.length < all.length) await this.store.replaceHistory(this.boxId, kept as object[]);
  }
}
