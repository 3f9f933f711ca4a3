import { expect, it } from "vitest";
import { ByteQueue } from "../../../src/local/guest/byte-queue.js";
import { heldBytes } from "../../robustness/fuzz/target.js";

const MESSAGE = 32_768;

it.each([1, 3, 1000, 1023, 1024, 5000, 20_000])("pieces of %i bytes come back in order", (length) => {
  const queue = new ByteQueue();
  const sent = Uint8Array.from({ length: 20 * length }, (_, i) => i % 251);
  const came: number[] = [];
  for (let i = 0; i < 20; i++) {
    queue.push(sent.subarray(i * length, (i + 1) * length));
    if (i % 7 === 6) came.push(...queue.shift()!);
  }
  for (let bytes = queue.shift(); bytes; bytes = queue.shift()) came.push(...bytes);
  expect(Buffer.compare(Uint8Array.from(came), sent)).toBe(0);
  expect(queue.isEmpty).toBe(true);
});

it.each([1, 20, 1000, 1100, 8000])(
  "pieces of %i bytes keep no more in memory than they are worth",
  (length) => {
    const queue = new ByteQueue();
    let bytes = 0;
    for (; bytes < 100_000; bytes += length) queue.push(new Uint8Array(MESSAGE).subarray(0, length));
    expect(heldBytes(queue)).toBeLessThan(4.2 * bytes + 8192);
  },
);

it("a single byte is not a block for its reader, and what was let go of is gone", () => {
  const queue = new ByteQueue();
  queue.push(Uint8Array.of(1));
  expect(queue.shift()?.buffer.byteLength).toBe(1);
  expect(queue.shift()).toBeUndefined();
  queue.push(Uint8Array.of(2));
  queue.clear();
  expect(queue.isEmpty).toBe(true);
  queue.push(Uint8Array.of(3));
  expect(queue.shift()).toEqual(Uint8Array.of(3));
});
