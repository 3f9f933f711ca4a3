/** Number of packets that a WebSocket has not sent yet. It tells of bytes alone, and a packet of few bytes takes much more memory than these. */
export class UnsentPackets {
  /** Positions behind the ends of packets in all that was sent, oldest first from `first` on. */
  private ends: number[] = [];
  private first = 0;
  private sentBytes = 0;

  /** Counts a packet that has been sent. */
  add(bytes: number): void {
    this.sentBytes += bytes;
    this.ends.push(this.sentBytes);
  }

  /** Returns how many packets there are, at most, among so many bytes that wait. Framing may be part of them. */
  count(waitingBytes: number): number {
    while (this.first < this.ends.length && this.ends[this.first]! <= this.sentBytes - waitingBytes)
      this.first++;
    if (2 * this.first >= this.ends.length) {
      this.ends = this.ends.slice(this.first);
      this.first = 0;
    }
    return this.ends.length - this.first;
  }
}
