const FIRST_BYTES = 16 * 1024;

/** Bytes that were sent and not acknowledged, and those that are to be sent: a ring that grows up to a limit. */
export class SendBuffer {
  private ring = new Uint8Array(0);
  private head = 0;
  private held = 0;

  constructor(private readonly limitBytes: number) {}

  /** Number of bytes in it. */
  get byteLength(): number {
    return this.held;
  }

  /** Appends as much of `bytes` as there is room for, and returns how much that was. */
  push(bytes: Uint8Array): number {
    const taken = Math.min(bytes.byteLength, this.limitBytes - this.held);
    if (this.held + taken > this.ring.byteLength) this.grow(this.held + taken);
    const at = (this.head + this.held) % this.ring.byteLength || 0;
    const first = Math.min(taken, this.ring.byteLength - at);
    this.ring.set(bytes.subarray(0, first), at);
    this.ring.set(bytes.subarray(first, taken), 0);
    this.held += taken;
    return taken;
  }

  /** Copies the bytes from `offset` on into `target`, which has no more than are there. */
  copy(offset: number, target: Uint8Array): void {
    const at = (this.head + offset) % this.ring.byteLength || 0;
    const first = Math.min(target.byteLength, this.ring.byteLength - at);
    target.set(this.ring.subarray(at, at + first));
    target.set(this.ring.subarray(0, target.byteLength - first), first);
  }

  /** Drops the first `bytes`. */
  drop(bytes: number): void {
    this.held -= bytes;
    this.head = this.held === 0 ? 0 : (this.head + bytes) % this.ring.byteLength;
  }

  private grow(neededBytes: number): void {
    let size = Math.max(FIRST_BYTES, this.ring.byteLength);
    while (size < neededBytes) size *= 2;
    const ring = new Uint8Array(Math.min(size, Math.max(neededBytes, this.limitBytes)));
    this.copy(0, ring.subarray(0, this.held));
    this.ring = ring;
    this.head = 0;
  }
}
