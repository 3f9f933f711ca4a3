import type { ImageTrouble } from "../assets/image-chunks.js";

/** Warnings of a running box (`info.local.warnings`). */
export class BoxWarnings {
  private notes: string[] = [];
  private trouble: ImageTrouble = { offline: null, damaged: null };
  private unstored: string | null = null;

  /** `onChanged` is called when the warnings change, but not for the notes of the start, which is reported as a change itself. */
  constructor(private readonly onChanged: () => void) {}

  /** Sets the notes of the start, which stay for as long as the box runs. */
  setNotes(notes: string[]): void {
    this.notes = notes;
  }

  /** Sets the reason why the guest cannot read a part of its image, and clears the one that is over. */
  setTrouble(trouble: ImageTrouble): void {
    this.trouble = trouble;
    this.onChanged();
  }

  /** Notes that written data could not be stored. This warning is never cleared. */
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
    if (this.unstored !== null) list.push(`the latest writes could not be stored: ${this.unstored}`);
    return list;
  }
}

const describeUnread = (why: string) =>
  `part of the image could not be read, and programs that needed it got an input/output error; the next read tries again: ${why}`;
