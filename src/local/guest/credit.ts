import { type Deferred, deferred } from "../../util/deferred.js";
import { MAX_WINDOW } from "../protocol/frame-types.js";
import { violation } from "./violation.js";

/** Bytes of output or of a file that the guest may send ahead per stream: more than a round trip takes at full speed. */
export const WINDOW_BYTES = 1 << 20;
/** Step in which credit is returned, so that it takes one frame for many chunks. */
const CREDIT_STEP_BYTES = WINDOW_BYTES / 4;

/** Credit that the guest has granted us on a stream. */
export class SendCredit {
  private available = 0;
  private waiter: Deferred<void> | undefined;
  private over = false;

  /** True once the stream has ended: nothing may be sent any more, not even with credit that was taken. */
  get ended(): boolean {
    return this.over;
  }

  grant(bytes: number): void {
    this.available += bytes;
    if (this.available > MAX_WINDOW) throw violation("granted more credit than a window allows");
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

/** Credit that we have granted the guest on a stream, and the part of it that is to be returned. It starts with {@link WINDOW_BYTES}. */
export class ReceiveCredit {
  private outstanding = WINDOW_BYTES;
  private owed = 0;

  constructor(private readonly send: (bytes: number) => void) {}

  /** Notes bytes that arrived. Throws when they were not granted. */
  use(bytes: number): void {
    this.outstanding -= bytes;
    if (this.outstanding < 0) throw violation("sent more than it was granted");
  }

  /** Notes bytes that were consumed, which makes room for others. */
  release(bytes: number): void {
    this.owed += bytes;
    if (this.owed < CREDIT_STEP_BYTES) return;
    this.outstanding += this.owed;
    this.send(this.owed);
    this.owed = 0;
  }
}
