/** The internals of a v86 virtio queue that are used here. */
export interface VirtQueue {
  is_configured(): unknown;
  has_request(): boolean;
  pop_request(): { set_next_blob(bytes: Uint8Array): void };
  push_reply(buffer: object): void;
  flush_replies(): void;
}

/** Data on its way into a guest, by one of its virtio queues. What the guest has no buffer for waits here: v86 would drop it. */
export class GuestInput {
  private readonly waiting: Uint8Array[] = [];
  private pumping = false;
  /** Number of bytes that wait. */
  bytes = 0;

  /** `bufferBytes` is how much one of the guest's buffers takes, and `header` comes before each piece of data. */
  constructor(
    private readonly queue: () => VirtQueue,
    private readonly bufferBytes: number,
    private readonly header?: () => Uint8Array,
  ) {}

  /** Queues data, without handing it over. */
  push(data: Uint8Array): void {
    this.waiting.push(data);
    this.bytes += data.byteLength;
  }

  /** Drops the oldest data until at most `bytes` wait, in at most `pieces`. */
  dropBeyond(bytes: number, pieces: number): void {
    let dropped = 0;
    while (this.bytes > bytes || this.waiting.length - dropped > pieces)
      this.bytes -= this.waiting[dropped++]!.byteLength;
    this.waiting.splice(0, dropped);
  }

  /** Hands over what the guest has buffers for. */
  pump(): void {
    const { waiting } = this;
    // Handing over a buffer may wake an idle machine, which calls this again before the loop below has moved on.
    if (this.pumping || waiting.length === 0) return;
    const queue = this.queue();
    if (!queue.is_configured()) return;
    this.pumping = true;
    let sent = 0;
    let offset = 0;
    while (sent < waiting.length && queue.has_request()) {
      const data = waiting[sent]!;
      const end = Math.min(data.byteLength, offset + this.bufferBytes);
      const buffer = queue.pop_request();
      if (this.header) buffer.set_next_blob(this.header());
      buffer.set_next_blob(data.subarray(offset, end));
      queue.push_reply(buffer);
      this.bytes -= end - offset;
      offset = end;
      if (offset === data.byteLength) {
        sent++;
        offset = 0;
      }
    }
    // One interrupt for all of them.
    queue.flush_replies();
    waiting.splice(0, sent);
    if (offset > 0) waiting[0] = waiting[0]!.subarray(offset);
    this.pumping = false;
  }
}
