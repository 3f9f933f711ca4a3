/** A part of the image that the guest could not read: why, and whether that was for want of a network or a server. */
export interface Unreadable {
  why: string;
  offline: boolean;
}

/** What a box warns of (`info.local.warnings`). */
export class BoxWarnings {
  private notes: string[] = [];
  private unreadable: Unreadable | null = null;
  private unstored: string | null = null;

  /** `onChanged`: there are others than before. */
  constructor(private readonly onChanged: () => void) {}

  /** What was noted while the box started: it holds for as long as the box runs. */
  setNotes(notes: string[]): void {
    this.notes = notes;
  }

  /** The image cannot be read in part; null: it can again. */
  setUnreadable(unreadable: Unreadable | null): void {
    // The first of a kind is enough: a guest that reads in a loop must not have every watcher list all boxes as often.
    if (unreadable?.offline === this.unreadable?.offline) return;
    this.unreadable = unreadable;
    this.onChanged();
  }

  /** What was written could not be stored. Nothing makes that good. */
  setUnstored(why: string): void {
    if (this.unstored !== null) return;
    this.unstored = why;
    this.onChanged();
  }

  list(): string[] {
    const list = [...this.notes];
    if (this.unreadable)
      list.push(
        `${this.unreadable.offline ? "offline" : "damaged or missing"}: part of the image could not be read, and what needed it got an input/output error; ` +
          `the next read tries again: ${this.unreadable.why}`,
      );
    if (this.unstored !== null) list.push(`what was written last could not be stored: ${this.unstored}`);
    return list;
  }
}
