import { type Deferred, deferred } from "../../util/deferred.js";
import { MAX_WINDOW } from "../protocol/frame-types.js";
import { violation } from "./violation.js";

/** Bytes of output or file that the guest may have under way per stream: more than a round trip's worth at full speed. */
export const WINDOW_BYTES = 1 << 20;
/** Credit goes back in steps of this size, so that it costs one frame for many chunks. */
const CREDIT_STEP_BYTES = WINDOW_BYTES / 4;

/** What the guest has granted and we may still send on a stream. */
export class SendCredit {
  private available = 0;
  private waiter: Deferred<void> | undefined;
  private over = false;

  /** Nothing may be sent any more, not even what was taken. */
  get ended(): boolean {
    return this.over;
  }

  grant(bytes: number): void {
    this.available += bytes;
    if (this.available > MAX_WINDOW) throw violation("granted more credit than a window");
    this.wake();
  }

  /** Resolves to how much of `wanted` may be sent now, at least 1; to 0 when the stream has ended. */
  async take(wanted: number): Promise<number> {
    while (this.available === 0 && !this.over) {
      this.waiter ??= deferred();
      await this.waiter.promise;
    }
    if (this.over) return 0;
    const taken = Math.min(wanted, this.available);
    this.available -= taken;
    return taken;
  }

  end(): void {
    this.over = true;
    this.wake();
  }

  private wake(): void {
    this.waiter?.resolve();
    this.waiter = undefined;
  }
}

/** What we have granted the guest on a stream, and what of it we owe again. It starts with {@link WINDOW_BYTES}. */
export class ReceiveCredit {
  private outstanding = WINDOW_BYTES;
  private owed = 0;

  constructor(private readonly send: (bytes: number) => void) {}

  /** Bytes came in. Throws when they were not granted. */
  use(bytes: number): void {
    this.outstanding -= bytes;
    if (this.outstanding < 0) throw violation("sent more than it was granted");
  }

  /** Bytes were taken in for good: others may come. */
  release(bytes: number): void {
    this.owed += bytes;
    if (this.owed < CREDIT_STEP_BYTES) return;
    this.outstanding += this.owed;
    this.send(this.owed);
    this.owed = 0;
  }
}
