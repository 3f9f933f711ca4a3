/** Block size: pieces smaller than a quarter of this are collected in blocks. */
const BLOCK_BYTES = 4096;

/**
 * Bytes of the guest that wait for their reader. They take little more memory than their number, however small the pieces in which they arrive, and however
 * large the message that a piece is a view of.
 */
export class ByteQueue {
  private pieces: Uint8Array[] = [];
  /** The last piece, while it is a block with room in it. */
  private block: Uint8Array | undefined;
  private used = 0;

  get isEmpty(): boolean {
    return this.pieces.length === 0;
  }

  push(bytes: Uint8Array): void {
    const { byteLength, buffer } = bytes;
    if (byteLength >= BLOCK_BYTES / 4) {
      this.endBlock();
      this.pieces.push(byteLength * 4 < buffer.byteLength ? bytes.slice() : bytes);
      return;
    }
    if (!this.block || this.used + byteLength > BLOCK_BYTES) {
      this.endBlock();
      this.block = new Uint8Array(BLOCK_BYTES);
      this.used = 0;
      this.pieces.push(this.block);
    }
    this.block.set(bytes, this.used);
    this.used += byteLength;
  }

  /** Returns the next bytes; undefined when there are none. */
  shift(): Uint8Array | undefined {
    if (this.pieces.length === 1) this.endBlock();
    return this.pieces.shift();
  }

  clear(): void {
    this.pieces = [];
    this.block = undefined;
  }

  private endBlock(): void {
    if (this.block) this.pieces[this.pieces.length - 1] = this.block.slice(0, this.used);
    this.block = undefined;
  }
}
