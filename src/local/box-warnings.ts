import type { ImageTrouble } from "./image-chunks.js";

/** What a box warns of (`info.local.warnings`). */
export class BoxWarnings {
  private notes: string[] = [];
  private trouble: ImageTrouble = { offline: null, damaged: null };
  private unstored: string | null = null;

  /** `onChanged`: there are others than before. */
  constructor(private readonly onChanged: () => void) {}

  /** What was noted while the box started: it holds for as long as the box runs. */
  setNotes(notes: string[]): void {
    this.notes = notes;
  }

  /** What of the image the guest cannot read now. */
  setTrouble(trouble: ImageTrouble): void {
    this.trouble = trouble;
    this.onChanged();
  }

  /** What was written could not be stored. Nothing makes that good. */
  setUnstored(why: string): void {
    if (this.unstored !== null) return;
    this.unstored = why;
    this.onChanged();
  }

  list(): string[] {
    const { offline, damaged } = this.trouble;
    const list = [...this.notes];
    if (offline !== null) list.push(`offline: ${describeUnread(offline)}`);
    if (damaged !== null) list.push(`damaged or missing: ${describeUnread(damaged)}`);
    if (this.unstored !== null) list.push(`what was written last could not be stored: ${this.unstored}`);
    return list;
  }
}

const describeUnread = (why: string) =>
  `part of the image could not be read, and what needed it got an input/output error; the next read tries again: ${why}`;
