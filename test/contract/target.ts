import type { BoxHandle, BoxRunClient } from "boxrun";

/** One place that the contract is run against: what is true of it, as data. */
export interface Target {
  /** "local in Node". */
  name: string;
  /** A new client; the suite closes it. All clients of one target see the same boxes. */
  createClient(): BoxRunClient;
  /** The smallest image there. */
  image: string;
  /** Before the first client, and after the last. */
  setUp?(): Promise<void>;
  tearDown?(): Promise<void>;
  /**
   * Cases that cannot pass here, by their exact names, and why. They are run all the same and must fail: one that passes has no business in this table, and one that is
   * not there at all neither. Each is named, with its reason, in the report.
   */
  cannot: Readonly<Record<string, string>>;
}

/** What the groups of cases share: one client and one box, made once. */
export interface Context {
  target: Target;
  client: BoxRunClient;
  box: BoxHandle;
}

/** The error that a promise rejects with. Fails when it doesn't. */
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

/** Lower-case hex of the SHA-256 of bytes. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Bytes that look random and are the same each time. */
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

/** The bytes as a stream of pieces, each made when it is asked for. */
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
