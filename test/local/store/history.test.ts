import { describe, expect, it } from "vitest";
import type { ExecInfo } from "../../../src/backend/backend.js";
import {
  decodeEntries,
  encodeEntry,
  entryBytes,
  HISTORY_BYTES,
  HISTORY_LIMIT,
  HISTORY_OUTPUT_BYTES,
} from "../../../src/local/store/history.js";
import { HistoryWriter } from "../../../src/local/store/history-writer.js";
import { memoryStore } from "../../../src/local/store/store-memory.js";

const BOX = "box_aaaaaaaaaaaa";

const infoOf = (id: string): ExecInfo => ({
  id,
  boxId: BOX,
  status: "completed",
  cmd: ["true"],
  env: null,
  workdir: "/",
  timeoutMs: null,
  exitCode: 0,
  errorMessage: null,
  createdAt: new Date(0),
  finishedAt: new Date(1),
});

const entryOf = (...sizes: number[]) => {
  const output = sizes.map((size, i) => ({
    type: "log" as const,
    stream: "stdout" as const,
    bytes: new Uint8Array(size).fill(i + 1),
    seq: i + 1,
  }));
  return encodeEntry(infoOf("exec_1"), output, sizes.length + 1);
};

function sizesKept(entry: object) {
  const [found] = decodeEntries(BOX, [entry]);
  const sizes = found!.events.flatMap((event) => (event.type === "log" ? [event.bytes.byteLength] : []));
  return { sizes, truncated: found!.info.truncated ?? false };
}

describe("the history of a command", () => {
  it("keeps the first 64 KiB of its output, to the byte, and says that there was more", () => {
    expect(HISTORY_OUTPUT_BYTES).toBe(65_536);
    expect(sizesKept(entryOf(10, 65_526))).toEqual({ sizes: [10, 65_526], truncated: false });
    expect(sizesKept(entryOf(10, 65_527))).toEqual({ sizes: [10, 65_526], truncated: true });
    expect(sizesKept(entryOf(200_000, 5))).toEqual({ sizes: [65_536], truncated: true });
    expect(sizesKept(entryOf(0))).toEqual({ sizes: [0], truncated: false });
  });
});

it.each(["createdAt", "finishedAt"])("an entry whose %s is no time is none", (key) => {
  const entry = entryOf(1) as { info: Record<string, unknown> };
  expect(decodeEntries(BOX, [entry])).toHaveLength(1);
  entry.info[key] = "yesterday";
  expect(decodeEntries(BOX, [entry])).toEqual([]);
});

describe("the history of a box", () => {
  it("keeps the last 1000 commands, however often the box was started", async () => {
    const store = memoryStore(false);
    await store.create(BOX, {});
    let number = 0;
    for (let start = 0; start < 5; start++) {
      const writer = new HistoryWriter(store, BOX, start > 0);
      for (let i = 0; i < 900; i++)
        writer.add(`exec_${number}`, encodeEntry(infoOf(`exec_${number++}`), [], 1));
      await writer.flush();
    }
    const kept = await store.readHistory(BOX);
    expect(kept.length).toBeLessThanOrEqual(3 * HISTORY_LIMIT);
    const found = decodeEntries(BOX, kept).map(({ info }) => info.id);
    expect(found).toHaveLength(1000);
    expect(found.at(-1)).toBe("exec_4499");
    expect(found[0]).toBe("exec_3500");
  });

  it("keeps 16 MB at most, the newest, and says of long commands how they began", async () => {
    const store = memoryStore(false);
    await store.create(BOX, {});
    const writer = new HistoryWriter(store, BOX, false);
    const words = ["x".repeat(200_000), "y"];
    const env = { LONG: "z".repeat(200_000), A: "b" };
    const output = [{ type: "log", stream: "stdout", bytes: new Uint8Array(60_000), seq: 1 }] as const;
    const info = (number: number) => ({ ...infoOf(`exec_${number}`), cmd: words, env });
    let most = 0;
    for (let number = 0; number < 600; number++) {
      writer.add(`exec_${number}`, encodeEntry(info(number), output, 2));
      if (number % 50 < 49) continue;
      await writer.flush();
      const bytes = (await store.readHistory(BOX)).map(entryBytes);
      most = Math.max(
        most,
        bytes.reduce((sum, one) => sum + one),
      );
    }
    expect(most).toBeLessThan(2.5 * HISTORY_BYTES);
    const found = decodeEntries(BOX, await store.readHistory(BOX));
    expect(found.length).toBeGreaterThan(150);
    expect(found.at(-1)!.info.id).toBe("exec_599");
    expect(found[0]!.info.id).toBe(`exec_${600 - found.length}`);
    expect(found.at(-1)!.info.cmd).toEqual([`${"x".repeat(16_384)}…`]);
    expect(found.at(-1)!.info.env).toBeNull();
  });
});
