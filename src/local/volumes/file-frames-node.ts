import { deserialize, serialize } from "node:v8";

const LENGTH_BYTES = 4;

/** Returns a message as the bytes that {@link FrameReader} reads. Both sides are the same runtime. */
export function frame(message: unknown): Uint8Array {
  const body = serialize(message);
  const whole = Buffer.allocUnsafe(LENGTH_BYTES + body.byteLength);
  whole.writeUInt32LE(body.byteLength, 0);
  body.copy(whole, LENGTH_BYTES);
  return whole;
}

/** Reads messages from a stream of bytes, in pieces of any size. */
export class FrameReader<Message> {
  private pieces: Buffer[] = [];
  private bytes = 0;

  constructor(private readonly onMessage: (message: Message) => void) {}

  push(piece: Uint8Array): void {
    this.pieces.push(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
    this.bytes += piece.byteLength;
    for (let whole = this.next(); whole; whole = this.next()) this.onMessage(deserialize(whole) as Message);
  }

  private next(): Buffer | undefined {
    if (this.bytes < LENGTH_BYTES) return undefined;
    if (this.pieces[0]!.byteLength < LENGTH_BYTES) this.join();
    const end = LENGTH_BYTES + this.pieces[0]!.readUInt32LE(0);
    if (this.bytes < end) return undefined;
    if (this.pieces[0]!.byteLength < end) this.join();
    const first = this.pieces[0]!;
    if (first.byteLength === end) this.pieces.shift();
    else this.pieces[0] = first.subarray(end);
    this.bytes -= end;
    return first.subarray(LENGTH_BYTES, end);
  }

  private join(): void {
    this.pieces = [Buffer.concat(this.pieces)];
  }
}
