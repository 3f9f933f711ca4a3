import { expect, it } from "vitest";
import { deferred } from "../../../src/util/deferred.js";
import { connected, heldBytes, turn } from "./guest-socket.js";

const SERVER = 0xcb007105;
const GIGABYTE = 2 ** 30;
const PIECE_BYTES = 64 * 1024;
/** Of a connection, each way: the stack's buffer, the guest's window, and the pieces that the two ends are about. */
const MAX_UNDER_WAY_BYTES = 2 ** 20;
/** Garbage that is not collected yet, and nothing that grows with what has been carried. */
const MAX_GROWTH_BYTES = 256 * 2 ** 20;

/** Bytes that differ from place to place, and repeat after a length that no piece has. */
const PERIOD = 65_521;
const cycle = Buffer.from(
  Uint8Array.from({ length: PERIOD + PIECE_BYTES }, (_, i) => (((i % PERIOD) * 2654435761) >>> 13) & 255),
);
const bytesAt = (at: number, length: number) => cycle.subarray(at % PERIOD, (at % PERIOD) + length);

/** One direction of a connection: how much has gone in, and how much of it has come out right. */
class Direction {
  sent = 0;
  arrived = 0;
  /** Place of the first piece that was wrong. */
  wrongAt: number | undefined;
  mostUnderWay = 0;

  next(maxBytes: number): Buffer {
    const bytes = bytesAt(this.sent, Math.min(maxBytes, GIGABYTE - this.sent));
    this.sent += bytes.byteLength;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.sent - this.arrived);
    return bytes;
  }

  take(data: Uint8Array): void {
    if (!bytesAt(this.arrived, data.byteLength).equals(data)) this.wrongAt ??= this.arrived;
    this.arrived += data.byteLength;
  }
}

it("carries a gigabyte each way at once, every byte right, and holds no more than its buffers", async () => {
  const [up, down] = [new Direction(), new Direction()];
  const readable = new ReadableStream<Uint8Array>(
    {
      pull: (controller) =>
        down.sent < GIGABYTE ? controller.enqueue(down.next(PIECE_BYTES)) : controller.close(),
    },
    { highWaterMark: 0 },
  );
  const allTaken = deferred<void>();
  let pieces = 0;
  const writable = new WritableStream<Uint8Array>({
    write: async (bytes) => {
      up.take(bytes);
      // A server that is behind, again and again.
      if (++pieces % 16 === 0) await turn();
    },
    close: () => allTaken.resolve(),
  });
  const { guest } = connected({ readable, writable });
  const socket = guest.socket(SERVER, 80, { segmentBytes: 31_960, windowBytes: 2 ** 19 });
  const before = heldBytes();
  let most = 0;
  socket.onData = (data) => {
    down.take(data);
    socket.segments.length = 0;
    if (down.arrived % 512 < 2) most = Math.max(most, heldBytes() - before);
  };
  await socket.connect();
  while (up.sent < GIGABYTE) await socket.write(up.next(PIECE_BYTES));
  socket.end();
  await socket.until(() => socket.ended);
  await allTaken.promise;
  expect([up.arrived, down.arrived]).toEqual([GIGABYTE, GIGABYTE]);
  expect([up.wrongAt, down.wrongAt]).toEqual([undefined, undefined]);
  expect(up.mostUnderWay).toBeLessThan(MAX_UNDER_WAY_BYTES);
  expect(down.mostUnderWay).toBeLessThan(MAX_UNDER_WAY_BYTES);
  expect(most).toBeLessThan(MAX_GROWTH_BYTES);
}, 120_000);
