import { describe, expect, it } from "vitest";
import { eventSchema, SseDecoder, type SseEvent } from "../../src/contract/sse-decode.js";

/** Numbers that look random and are the same each time. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function decode(pieces: Uint8Array[]): SseEvent[] {
  const decoder = new SseDecoder();
  return [...pieces.flatMap((piece) => decoder.push(piece)), ...decoder.end()];
}

const STREAM = [
  ": a comment",
  "event: log",
  'data: {"a": "größe 文 😀"}',
  "",
  "data: first",
  "data: second",
  "data:",
  "id: 7",
  "unknown: field",
  "",
  "event: empty without data is none",
  "",
  ":",
  "event:exit",
  "data:no space",
  "",
  "",
];
const EVENTS = [
  { event: "log", data: '{"a": "größe 文 😀"}' },
  { event: "message", data: "first\nsecond\n" },
  { event: "exit", data: "no space" },
];

describe.each([
  ["LF", "\n"],
  ["CRLF", "\r\n"],
  ["CR", "\r"],
])("server-sent events with %s", (_name, lineEnd) => {
  const bytes = new TextEncoder().encode(STREAM.join(lineEnd));

  it("are the same whole, byte by byte, and cut in two anywhere", () => {
    expect(decode([bytes])).toEqual(EVENTS);
    expect(decode(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(EVENTS);
    for (let at = 0; at <= bytes.length; at++) {
      expect(decode([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(EVENTS);
    }
  });

  it("are the same in any pieces", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const next = random(seed);
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; ) {
        const end = at + next(12);
        pieces.push(bytes.subarray(at, end));
        at = end;
      }
      expect(decode(pieces)).toEqual(EVENTS);
    }
  });

  it("are the same after a byte order mark", () => {
    const marked = new Uint8Array([0xef, 0xbb, 0xbf, ...bytes]);
    for (let at = 0; at < 6; at++)
      expect(decode([marked.subarray(0, at), marked.subarray(at)])).toEqual(EVENTS);
  });

  it("are none before their empty line, wherever the stream ends", () => {
    const one = new TextEncoder().encode(["data: x", "", ""].join(lineEnd));
    const whole = one.length - lineEnd.length + 1;
    for (let at = 0; at <= one.length; at++) {
      expect(decode([one.subarray(0, at)])).toHaveLength(at >= whole ? 1 : 0);
    }
  });
});

describe("server-sent events", () => {
  it("may mix the ends of lines", () => {
    const text = "data: a\r\rdata: b\n\ndata: c\r\n\r\ndata: d\r\n\ndata: e\n\r\n";
    expect(decode([new TextEncoder().encode(text)]).map(({ data }) => data)).toEqual([
      "a",
      "b",
      "c",
      "d",
      "e",
    ]);
  });

  it("that never end are refused before they fill the memory", () => {
    const decoder = new SseDecoder();
    const piece = new Uint8Array(2 ** 23).fill(120);
    expect(() => {
      for (let i = 0; i < 16; i++) decoder.push(piece);
    }).toThrow(RangeError);
  });
});

describe("a stream that means harm", () => {
  it("is not looked through again and again for the ends of its lines", () => {
    const ends = new Uint8Array(2 ** 21).fill(13);
    expect(decode([ends, new TextEncoder().encode("data: x\n\n")])).toEqual([
      { event: "message", data: "x" },
    ]);
  });

  it("cannot keep what is between the lines of an event that never ends", () => {
    const decoder = new SseDecoder();
    const piece = new TextEncoder().encode(`data: thirteen chars\n:${" ".repeat(2 ** 20)}\n`);
    expect(() => {
      for (let i = 0; i < 100; i++) decoder.push(piece);
    }).toThrow(RangeError);
  });

  it("may be as long as it likes, if its events are not", () => {
    const decoder = new SseDecoder();
    const piece = new TextEncoder().encode(`data: x\n\n:${" ".repeat(2 ** 20)}\n`);
    let events = 0;
    for (let i = 0; i < 100; i++) events += decoder.push(piece).length;
    expect(events).toBe(100);
  });
});

describe("the API's events", () => {
  const read = (event: string, data: unknown) =>
    eventSchema(event)!.safeParse(typeof data === "string" ? data : JSON.stringify(data));

  it("carry text, or exact bytes", () => {
    const text = read("log", { stream: "stderr", data: "é", seq: 3 });
    expect(text.data).toEqual({ type: "log", stream: "stderr", bytes: Uint8Array.of(0xc3, 0xa9), seq: 3 });
    const exact = read("log", { stream: "stdout", data: "\ufffd", seq: 4, b64: "/wA=" });
    expect(exact.data).toMatchObject({ bytes: Uint8Array.of(255, 0) });
  });

  it("end with an exit code, or with none", () => {
    const exit = (data: string) => read("exit", { stream: null, data, seq: 5 }).data;
    expect(exit('{"exit_code": 0}')).toEqual({ type: "exit", exitCode: 0, error: null, seq: 5 });
    expect(exit('{"exit_code": null}')).toMatchObject({ exitCode: null });
    expect(exit('{"exit_code": -1, "error": "gone"}')).toMatchObject({ exitCode: -1, error: "gone" });
    expect(exit("{}")).toMatchObject({ exitCode: null });
  });

  it("of other names and streams are passed over", () => {
    expect(eventSchema("status")).toBeUndefined();
    expect(read("log", { stream: "system", data: "x", seq: 1 })).toMatchObject({ success: true, data: null });
  });

  it.each([
    ["log", "no JSON", ""],
    ["log", { stream: "stdout", data: 5, seq: 1 }, "data"],
    ["log", { stream: "stdout", data: "x" }, "seq"],
    ["log", { stream: "stdout", data: "x", seq: 1, b64: "*" }, "b64"],
    ["exit", { data: "{", seq: 1 }, "data"],
    ["exit", { data: '{"exit_code": "0"}', seq: 1 }, "data.exit_code"],
  ])("that are broken say where: %s %j", (event, data, where) => {
    const { success, error } = read(event, data);
    expect(success).toBe(false);
    expect(error!.issues[0]!.path.join(".")).toBe(where);
  });
});
