/** Returns the error that a promise rejects with. Fails when it resolves. */
export async function failure(
  promise: Promise<unknown>,
): Promise<{ code?: string; message: string } & Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("expected a rejection");
}

/** Returns the SHA-256 of bytes in lower-case hex. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns bytes that look random and are the same each time. */
export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = 0x2545f491;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

/** A command that passes on the first bytes of its input, a multiple of 64 KB: at the speed of its pipe, where `head` of BusyBox takes one byte at a time. */
export function first(bytes: number): string {
  return `dd bs=65536 count=${bytes / 65_536} iflag=fullblock 2> /dev/null`;
}

/** Returns the bytes as a stream of pieces, each produced on demand. */
export function streamOf(bytes: Uint8Array, pieceBytes: number): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream(
    {
      pull: (controller) => {
        if (offset === bytes.byteLength) return controller.close();
        const end = Math.min(bytes.byteLength, offset + pieceBytes);
        controller.enqueue(bytes.slice(offset, end));
        offset = end;
      },
    },
    { highWaterMark: 0 },
  );
}
