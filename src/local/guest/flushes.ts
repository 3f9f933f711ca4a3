import { type Deferred, deferred } from "../../util/deferred.js";
import { violation } from "./violation.js";

/** Counts what a guest has done that may have written to its disk, and how much of it is stored, as the guest reports it. */
export class Flushes {
  private written = 0;
  /** Count of {@link written} before the flush that began last. */
  private begun = 0;
  private stored = 0;
  private underWay = false;
  private waiting: { written: number; stored: Deferred<void> }[] = [];

  /** Something has ended that may have written. */
  wrote(): void {
    this.written++;
  }

  /** Throws PROTOCOL_ERROR when a flush is under way. */
  begin(): void {
    if (this.underWay) throw violation("began a flush before the last one ended");
    this.underWay = true;
    this.begun = this.written;
  }

  /**
   * A flush that failed is one, too: what it could not store is not going to be. Throws PROTOCOL_ERROR when none is under
   * way.
   */
  end(): void {
    if (!this.underWay) throw violation("ended a flush that had not begun");
    this.underWay = false;
    this.settle(this.begun);
  }

  /** The guest is gone, and nothing of it is stored any more. */
  lose(): void {
    this.settle(this.written);
  }

  /** Undefined when all that has been written is stored; else a promise that resolves when it is, or never will be. */
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
