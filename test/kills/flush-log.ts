import type { Said } from "./owner.js";

/** What has been heard of the flushes of one box. */
export class FlushLog {
  private due = 0;
  private begun = 0;
  private stored = 0;
  private onEnded = () => {};

  hear({ flush }: Said): void {
    if (flush === "due") this.due++;
    if (flush === "began") this.begun = this.due;
    if (flush !== "ended") return;
    this.stored = this.begun;
    this.onEnded();
  }

  /** Resolves when all that has ended until now is stored. */
  settled(): Promise<void> {
    const { due } = this;
    return new Promise((resolve) => {
      this.onEnded = () => {
        if (this.stored >= due) resolve();
      };
      this.onEnded();
    });
  }
}
