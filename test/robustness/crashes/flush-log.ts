import type { Said } from "./owner.js";

/** What has been heard of the flushes of one box. */
export class FlushLog {
  private due = 0;
  private begun = 0;
  private stored = 0;
  private waiting: { due: number; resolve: () => void }[] = [];

  hear({ flush }: Said): void {
    if (flush === "due") this.due++;
    if (flush === "began") this.begun = this.due;
    if (flush !== "ended") return;
    this.stored = this.begun;
    for (const { due, resolve } of this.waiting) if (this.stored >= due) resolve();
    this.waiting = this.waiting.filter(({ due }) => this.stored < due);
  }

  /** Resolves when all that has ended until now is stored. */
  settled(): Promise<void> {
    const { due } = this;
    if (this.stored >= due) return Promise.resolve();
    return new Promise((resolve) => {
      this.waiting.push({ due, resolve });
    });
  }
}
