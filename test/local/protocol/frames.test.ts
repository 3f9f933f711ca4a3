import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FrameError } from "../../../src/local/protocol/frame-fields.js";
import * as types from "../../../src/local/protocol/frame-types.js";
import { type Frame, MAX_DATA, MAX_PAYLOAD } from "../../../src/local/protocol/frame-types.js";
import { encodeFrame, FrameReader } from "../../../src/local/protocol/frames.js";
import { goldenFrames, malformedFrames } from "../../agent/golden-frames.js";
import { ROOT } from "../../root.js";

const header = readFileSync(join(ROOT, "wasm/agent/protocol.h"), "utf8");

/** What comes of a side's bytes when they arrive in these chunks. */
function read(from: "host" | "guest", ...chunks: Uint8Array[]): Frame[] {
  const reader = new FrameReader(from);
  return chunks.flatMap((chunk) => reader.push(chunk));
}

/** A DATA frame of the guest with this many bytes. */
const dataOf = (length: number): Frame => ({
  type: "data",
  stream: 1,
  channel: "stdout",
  data: new Uint8Array(length).fill(7),
});

describe.each(goldenFrames)("golden frame: $name", ({ from, fields, decoded, bytes }) => {
  test("is encoded to its bytes", () => {
    expect(encodeFrame(fields)).toEqual(bytes);
  });

  test("is decoded from its bytes", () => {
    expect(read(from, bytes)).toEqual([decoded]);
  });

  test("is decoded from two pieces, wherever they are split", () => {
    for (let at = 0; at <= bytes.length; at++) {
      expect(read(from, bytes.subarray(0, at), bytes.subarray(at)), `split at ${at}`).toEqual([decoded]);
    }
  });
});

describe.each(["host", "guest"] as const)("all golden frames of the %s in a row", (from) => {
  const own = goldenFrames.filter((golden) => golden.from === from);
  const row = new Uint8Array(Buffer.concat(own.map((golden) => golden.bytes)));
  const decoded = own.map((golden) => golden.decoded);

  test("are decoded from one chunk", () => expect(read(from, row)).toEqual(decoded));
  test("are decoded byte by byte", () => {
    expect(read(from, ...Array.from(row, (_, at) => row.subarray(at, at + 1)))).toEqual(decoded);
  });
  test("are decoded from chunks of any size", () => {
    for (let size = 2; size < 200; size += 7) {
      const chunks = Array.from({ length: Math.ceil(row.length / size) }, (_, i) =>
        row.subarray(i * size, (i + 1) * size),
      );
      expect(read(from, ...chunks), `chunks of ${size}`).toEqual(decoded);
    }
  });
});

describe.each(malformedFrames)("malformed frame: $name", ({ from, bytes, why }) => {
  test("is refused, and so is everything after it", () => {
    const reader = new FrameReader(from);
    expect(() => reader.push(bytes)).toThrow(FrameError);
    expect(() => reader.push(bytes)).toThrow(why);
    const good = goldenFrames.find((golden) => golden.from === from)!;
    expect(() => reader.push(good.bytes)).toThrow(why);
  });

  test("is refused byte by byte", () => {
    expect(() => read(from, ...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toThrow(why);
  });
});

test("a header is refused before its payload has come", () => {
  const tooLong = malformedFrames.find((malformed) => malformed.name === "payload of 4 GB")!;
  expect(() => read("guest", tooLong.bytes.subarray(0, types.FRAME_HEADER))).toThrow("length");
});

test("the largest frame of data goes through, one byte more is refused", () => {
  const largest = dataOf(MAX_DATA);
  expect(encodeFrame(largest)).toHaveLength(32768);
  expect(read("guest", encodeFrame(largest))).toEqual([largest]);
  expect(() => encodeFrame(dataOf(MAX_DATA + 1))).toThrow("data.length");
  expect(() => encodeFrame(dataOf(0))).toThrow("data.length");
});

test("the largest payload goes through, one byte more is refused", () => {
  const exec = (length: number): Frame => ({
    type: "exec",
    stream: 1,
    flags: 0,
    window: 0,
    cwd: "",
    argv: ["x".repeat(length)],
    env: [],
  });
  const most = MAX_PAYLOAD - 21;
  const largest = encodeFrame(exec(most));
  expect(read("host", largest.subarray(0, 1000), largest.subarray(1000))).toEqual([exec(most)]);
  expect(() => encodeFrame(exec(most + 1))).toThrow("exec.length");
});

test("data that lies whole in a chunk is a view of it, data that is split is a copy", () => {
  const chunk = new Uint8Array([...encodeFrame(dataOf(3)), ...encodeFrame(dataOf(4))]);
  const [first, second] = read("guest", chunk) as [Frame, Frame];
  for (const frame of [first, second]) expect(frame.type === "data" && frame.data.buffer).toBe(chunk.buffer);
  const [split] = read("guest", chunk.subarray(0, 14), chunk.subarray(14, 15)) as [Frame];
  chunk.fill(0);
  expect(split).toEqual(dataOf(3));
});

describe("encoding refuses what the protocol forbids", () => {
  test.each<[string, Frame]>([
    ["signal.signal", { type: "signal", stream: 1, signal: 65 }],
    ["signal.signal", { type: "signal", stream: 1, signal: 1.5 }],
    ["signal.stream", { type: "signal", stream: 0, signal: 9 }],
    ["ping.token", { type: "ping", stream: 0, token: -1 }],
    ["clock.clock", { type: "clock", stream: 0, clock: 1n << 63n }],
    ["clock.clock", { type: "clock", stream: 0, clock: -1n }],
    ["get.window", { type: "get", stream: 1, window: types.MAX_WINDOW + 1, path: "/" }],
    ["put.path", { type: "put", stream: 1, flags: 0, mode: 0, path: "/a\0b" }],
    ["put.path", { type: "put", stream: 1, flags: 0, mode: 0, path: "" }],
    ["put.path", { type: "put", stream: 1, flags: 0, mode: 0, path: `/${"ä".repeat(2048)}` }],
    ["watch.window", { type: "watch", stream: 1, flags: 0, window: types.MAX_CHANGE - 1, path: "/" }],
    ["touch.path", { type: "touch", stream: 0, path: "" }],
    ["exec.argv", { type: "exec", stream: 1, flags: 0, window: 0, cwd: "/", argv: [], env: [] }],
    ["ready.diskBytes", { type: "ready", stream: 0, diskBytes: Number.MAX_SAFE_INTEGER + 1 }],
  ])("%s", (field, frame) => {
    expect(() => encodeFrame(frame)).toThrow(FrameError);
    expect(() => encodeFrame(frame)).toThrow(field);
  });
});

describe("the numbers of protocol.h", () => {
  /** The value of a constant: the header uses nothing but sums, shifts and earlier constants. */
  const value = (expression: string): number => {
    const plain = expression
      .replace(/\b(0x[\da-f]+|\d+)u\b/gi, "$1")
      .replace(/[A-Z_]{2,}/g, (name) => `${defines[name]}`);
    if (!/^[\d\sa-fx()<+-]+$/i.test(plain)) throw new Error(`cannot read ${expression}`);
    const octal = plain.replace(/\b0(\d+)\b/g, "0o$1");
    return new Function(`return ${octal}`)() as number;
  };
  const defines: Record<string, number> = {};
  for (const [, name, expression] of header.matchAll(/^#define (\w+) (.+)$/gm))
    defines[name!] = value(expression!);
  /** The members of an enum, without their prefix. */
  const members = (name: string, prefix: string): Record<string, number> => {
    const body = header.match(new RegExp(`enum ${name} \\{([^}]*)\\}`))![1]!.replace(/\/\*[\s\S]*?\*\//g, "");
    const found = [...body.matchAll(/(\w+) = (\w+)/g)].map(([, member, number]) => [
      member!.replace(prefix, "").toLowerCase(),
      Number(number),
    ]);
    return Object.fromEntries(found);
  };

  test("constants are the same", () => {
    expect(Object.keys(defines).length).toBeGreaterThan(10);
    expect({ ...types }).toMatchObject(defines);
  });
  test("types of frames are the same", () => {
    expect(members("frame_type", "F_")).toEqual(types.FRAME_TYPES);
  });
  test("channels, stages and flags are the same", () => {
    expect(members("channel", "CH_")).toEqual(types.CHANNELS);
    expect(members("fail_stage", "STAGE_")).toEqual(types.STAGES);
    expect(members("put_flags", "PUT_")).toEqual({ keep_mode: types.PUT_KEEP_MODE });
    expect(members("exec_flags", "EXEC_")).toEqual({ stdin: types.EXEC_STDIN, joined: types.EXEC_JOINED });
    expect(members("watch_flags", "WATCH_")).toEqual({ recursive: types.WATCH_RECURSIVE });
    expect(members("change", "CHANGE_")).toEqual(types.CHANGES);
    expect(members("exit_how", "")).toEqual({ exited: 0, signaled: 1, out_of_memory: 2 });
    expect(members("file_operation", "FILE_")).toEqual(types.FILE_OPERATIONS);
  });
});
