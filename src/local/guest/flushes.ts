import { type Deferred, deferred } from "../../util/deferred.js";
import { violation } from "./violation.js";

/** Counts the guest's work that may have written to its disk, and how much of it is stored, as the guest reports it. */
export class Flushes {
  private written = 0;
  /** Value of {@link written} before the flush that began last. */
  private begun = 0;
  private stored = 0;
  private underWay = false;
  private waiting: { written: number; stored: Deferred<void> }[] = [];

  /** Notes the end of work that may have written. */
  wrote(): void {
    this.written++;
  }

  /** Notes the beginning of a flush. Throws PROTOCOL_ERROR when one is running. */
  begin(): void {
    if (this.underWay) throw violation("began a flush before the last one ended");
    this.underWay = true;
    this.begun = this.written;
  }

  /**
   * Notes the end of a flush. A failed one counts, too: the data that it could not store never will be. Throws PROTOCOL_ERROR when none is
   * running.
   */
  end(): void {
    if (!this.underWay) throw violation("ended a flush that had not begun");
    this.underWay = false;
    this.settle(this.begun);
  }

  /** Notes that the guest is gone, and nothing more of it will be stored. */
  lose(): void {
    this.settle(this.written);
  }

  /** Undefined when everything that was written is stored; else a promise that resolves when it is, or never will be. */
  pending(): Promise<void> | undefined {
    const { written } = this;
    if (this.stored >= written) return;
    const last = this.waiting.at(-1);
    if (last?.written === written) return last.stored.promise;
    const stored = deferred();
    this.waiting.push({ written, stored });
    return stored.promise;
  }

  private settle(stored: number): void {
    this.stored = stored;
    while (this.waiting[0] && this.waiting[0].written <= stored) this.waiting.shift()!.stored.resolve();
  }
}
