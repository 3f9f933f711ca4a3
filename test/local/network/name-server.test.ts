import { getEventListeners } from "node:events";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { NameServer } from "../../../src/local/network/name-server.js";
import type { Dialer } from "../../../src/network/dialer.js";
import { random } from "./guest-socket.js";

const TYPES = { A: 1, PTR: 12, MX: 15, AAAA: 28, HTTPS: 65 };

function server(resolves?: Dialer["resolves"]): NameServer {
  const dialer: Dialer = {
    connect: () => Promise.reject(new Error("not here")),
    ...(resolves && { resolves }),
  };
  return new NameServer(dialer, new AbortController().signal);
}

function question(name: string, type: keyof typeof TYPES = "A", id = 4711): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label, "latin1")]);
  return Uint8Array.from([
    id >> 8,
    id & 255,
    1,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    ...labels,
    0,
    0,
    TYPES[type],
    0,
    1,
  ]);
}

/** Reads an answer: its code, and its only record, as an address or a name. */
function read(answer: Uint8Array | undefined): { code: number; record?: string | undefined } {
  const bytes = Buffer.from(answer!);
  const questions = bytes.readUInt16BE(4);
  let at = 12;
  for (let i = 0; i < questions; i++) at = nameAt(bytes, at).end + 4;
  const code = bytes[3]! & 15;
  expect(bytes[2]! & 0x80).toBe(0x80);
  if (bytes.readUInt16BE(6) === 0) {
    expect(at).toBe(bytes.byteLength);
    return { code };
  }
  const type = bytes.readUInt16BE(at + 2);
  const data = bytes.subarray(at + 12);
  expect([bytes.readUInt16BE(at), bytes.readUInt16BE(at + 10)]).toEqual([0xc00c, data.byteLength]);
  return { code, record: type === TYPES.A ? [...data].join(".") : nameAt(data, 0).name };
}

function nameAt(bytes: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = start;
  for (; bytes[at] !== 0; at += bytes[at]! + 1)
    labels.push(bytes.toString("latin1", at + 1, at + 1 + bytes[at]!));
  return { name: labels.join("."), end: at + 1 };
}

describe("the name server of a guest", () => {
  it("gives each name an address of its own, the same each time, and knows the name of it", async () => {
    const names = server();
    const ask = async (name: string) => read(await names.answer(question(name))).record;
    expect(await ask("example.com")).toBe("198.18.0.1");
    expect(await ask("Example.COM")).toBe("198.18.0.1");
    expect(await ask("other.example.com")).toBe("198.18.0.2");
    expect(names.nameOf(0xc6120001)).toBe("example.com");
    expect(names.nameOf(0xc6120003)).toBeUndefined();
    expect(read(await names.answer(question("1.0.18.198.in-addr.arpa", "PTR"))).record).toBe("example.com");
    expect(read(await names.answer(question("8.8.8.8.in-addr.arpa", "PTR")))).toEqual({ code: 3 });
  });

  it("repeats the question as it was asked, in its case, which resolvers check", async () => {
    const asked = question("eXamPle.com");
    const answer = await server().answer(asked);
    expect(answer!.subarray(12, asked.byteLength)).toEqual(asked.subarray(12));
    expect(answer!.subarray(0, 2)).toEqual(asked.subarray(0, 2));
  });

  it.each(["AAAA", "HTTPS", "MX"] as const)("has no %s record of a name that exists", async (type) => {
    expect(read(await server().answer(question("example.com", type)))).toEqual({ code: 0 });
  });

  it("asks the dialer whether a name exists, and says so; a failure is a failure", async () => {
    const names = server(async (name) => {
      if (name === "broken.example") throw new Error("the resolver does not answer");
      return name === "example.com";
    });
    expect(read(await names.answer(question("example.com"))).code).toBe(0);
    expect(read(await names.answer(question("example.net")))).toEqual({ code: 3 });
    expect(read(await names.answer(question("example.net", "AAAA")))).toEqual({ code: 3 });
    expect(read(await names.answer(question("broken.example")))).toEqual({ code: 2 });
  });

  it("fails where a lookup takes more than eight seconds, and keeps nothing of one that has ended", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const closing = new AbortController();
    const answers: (() => void)[] = [];
    const resolves = () => new Promise<boolean>((resolve) => answers.push(() => resolve(true)));
    const names = new NameServer(
      { connect: () => Promise.reject(new Error("not here")), resolves },
      closing.signal,
    );
    const answered = names.answer(question("quick.example.com"));
    answers.shift()!();
    expect(read(await answered)).toMatchObject({ code: 0 });
    expect([vi.getTimerCount(), getEventListeners(closing.signal, "abort").length]).toEqual([0, 0]);
    const late = names.answer(question("slow.example.com"));
    vi.advanceTimersByTime(8000);
    expect(read(await late)).toEqual({ code: 2 });
    expect([vi.getTimerCount(), getEventListeners(closing.signal, "abort").length]).toEqual([0, 0]);
  });

  it("answers for localhost itself", async () => {
    const names = server(() => Promise.reject(new Error("asked")));
    expect(read(await names.answer(question("localhost"))).record).toBe("127.0.0.1");
    expect(read(await names.answer(question("app.localhost"))).record).toBe("127.0.0.1");
    expect(read(await names.answer(question("localhost", "AAAA")))).toEqual({ code: 0 });
  });

  it("never hands out an address twice until all are used, and then takes the oldest", async () => {
    const names = server();
    const total = 512 * 254;
    const seen = new Set<string>();
    for (let i = 0; i < total; i++) {
      const answer = await names.answer(question(`n${i}.example`));
      seen.add(answer!.subarray(-4).join("."));
    }
    expect(seen.size).toBe(total);
    expect([...seen].filter((address) => !/^198\.1[89]\.\d+\.(?!(?:0|255)$)\d+$/.test(address))).toEqual([]);
    await names.answer(question("late.example"));
    expect(names.nameOf(0xc6120001)).toBe("late.example");
    expect(read(await names.answer(question("n0.example"))).record).toBe("198.18.0.2");
  });

  it.each([
    ["nothing", [], undefined],
    ["a header alone", question("a").slice(0, 12), 1],
    ["an answer", question("a").map((byte, at) => (at === 2 ? 0x80 : byte)), undefined],
    ["another operation", question("a").map((byte, at) => (at === 2 ? 0x28 : byte)), 4],
    ["another class", question("a").map((byte, at, all) => (at === all.length - 1 ? 3 : byte)), 4],
    ["two questions", question("a").map((byte, at) => (at === 5 ? 2 : byte)), 1],
    ["a pointer to itself", [...question("a").slice(0, 12), 0xc0, 12, 0, 1, 0, 1], 1],
    [
      "a label that is too long",
      [...question("a").slice(0, 12), 64, ...Array(64).fill(97), 0, 0, 1, 0, 1],
      1,
    ],
    ["a name that is too long", question(Array(50).fill("abcdef").join(".")), 1],
    ["a name that is cut", question("example.com").slice(0, 20), 1],
    ["a name with a blank", question("exam ple.com"), 3],
    ["a name with a zero", question("exam\0ple.com"), 3],
    ["the root", [...question("a").slice(0, 12), 0, 0, 1, 0, 1], 3],
  ] as const)("refuses %s", async (_what, bytes, code) => {
    const answer = await server().answer(Uint8Array.from(bytes));
    if (code === undefined) expect(answer).toBeUndefined();
    else expect(answer![3]! & 15).toBe(code);
  });

  it("takes any bytes", async () => {
    const names = server();
    const chance = random(7);
    const byte = () => Math.floor(256 * chance());
    for (let i = 0; i < 20_000; i++) {
      const message = question("www.example.com");
      for (let n = byte() % 5; n >= 0; n--) message[byte() % message.byteLength] = byte();
      await names.answer(message.subarray(0, byte() < 30 ? byte() % message.byteLength : undefined));
    }
  });

  it("answers by TCP, several questions in pieces of any size", async () => {
    const { readable, writable } = server().connect();
    const framed = ["a.example", "b.example"].flatMap((name) => {
      const message = question(name);
      return [0, message.byteLength, ...message];
    });
    const writer = writable.getWriter();
    const writing = (async () => {
      for (const byte of framed) await writer.write(Uint8Array.of(byte));
      await writer.close();
    })();
    const answers: string[] = [];
    for await (const bytes of readable) {
      expect(bytes[0]! * 256 + bytes[1]!).toBe(bytes.byteLength - 2);
      answers.push(read(bytes.subarray(2)).record!);
    }
    await writing;
    expect(answers).toEqual(["198.18.0.1", "198.18.0.2"]);
  });
});
