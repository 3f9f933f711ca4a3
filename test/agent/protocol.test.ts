import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  FILE_OPERATIONS,
  type HostFrame,
  MAX_STREAMS,
  MAX_WINDOW,
} from "../../src/local/protocol/frame-types.js";
import { encodeFrame } from "../../src/local/protocol/frames.js";
import { AgentProcess, whySkipped } from "./agent-process.js";
import { goldenFrames, malformedFrames } from "./golden-frames.js";

const EPROTO = 71;
const refused = { type: "fail", stream: 0, stage: 1, errno: EPROTO, detail: "frame" };

function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

const golden = (name: string) => {
  const found = goldenFrames.find((frame) => frame.name === name);
  if (!found) throw new Error(`no golden frame ${name}`);
  return found;
};

describe.skipIf(whySkipped)(`the agent's protocol${whySkipped ? ` (skipped: ${whySkipped})` : ""}`, () => {
  test("golden frames of the host are answered by golden frames of the guest", async () => {
    await using agent = await AgentProcess.start({ setup: false });
    agent.send(golden("setup").bytes, golden("ping").bytes, golden("exec").bytes);
    expect(await agent.next(0)).toEqual(golden("ready").decoded);
    expect(await agent.next(0)).toEqual(golden("pong").decoded);
    const { frames } = await agent.result(1);
    expect(frames).toEqual([
      { ...golden("started").decoded, pid: expect.any(Number) },
      golden("credit from the guest").decoded,
      golden("stdout").decoded,
      { type: "exit", stream: 1, how: "exited", value: 0 },
    ]);
    agent.send(golden("shutdown").bytes);
    expect(await agent.next(0)).toEqual(golden("done of a shutdown").decoded);
    expect(await agent.close()).toBe(0);
    expect(agent.frames).toEqual([]);
  });

  test("no answer is lost, however many streams a SHUTDOWN ends at once and however little room is left for it", async () => {
    await using agent = await AgentProcess.start();
    const streams = Array.from({ length: MAX_STREAMS - 1 }, (_, at) => at + 1);
    for (const stream of streams) agent.send({ type: "get", stream, window: 0, path: "/proc/cpuinfo" });
    for (const stream of streams) await agent.next(stream, "stat");
    // The agent gathers 96 KB of answers in a turn. Each of these is answered by 64 bytes: 4 KB are left.
    const questions = (3 * 32_768 - 4096) / 64;
    const question: HostFrame = {
      type: "file",
      stream: MAX_STREAMS,
      operation: FILE_OPERATIONS.stat,
      mode: 0,
      window: 4096,
      path: "/",
      second: "",
    };
    // It stands still until all of it is there, and takes it in one turn.
    process.kill(agent.pid, "SIGSTOP");
    await agent.sent(...Array.from({ length: questions }, () => question), {
      type: "shutdown",
      stream: 0,
      graceMs: 0,
    });
    process.kill(agent.pid, "SIGCONT");
    for (let at = 0; at < questions; at++) await agent.next(MAX_STREAMS, "done");
    expect(await agent.next(0)).toEqual({ type: "done", stream: 0, bytes: 0 });
    const ends = agent.frames.filter(({ type }) => type === "fail").map(({ stream }) => stream);
    expect(ends.sort((a, b) => a - b)).toEqual(streams);
  });

  test("frames may come byte by byte", async () => {
    await using agent = await AgentProcess.start();
    const exec: HostFrame = {
      type: "exec",
      stream: 9,
      flags: 0,
      window: 99,
      cwd: "/",
      argv: ["echo", "a"],
      env: [],
    };
    for (const byte of encodeFrame(exec)) {
      agent.send(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await agent.result(9)).stdout).toBe("a\n");
  });

  test("many frames may come at once", async () => {
    await using agent = await AgentProcess.start();
    const pings = Array.from({ length: 5000 }, (_, token): HostFrame => ({ type: "ping", stream: 0, token }));
    agent.send(...pings);
    for (let token = 0; token < pings.length; token++)
      expect((await agent.next(0, "pong")).token).toBe(token);
  });

  describe.each(malformedFrames.filter(({ from }) => from === "host"))("malformed: $name", ({ bytes }) => {
    test("is answered by FAIL, and nothing is served after it", async () => {
      await using agent = await AgentProcess.start({ setup: false });
      agent.send(bytes, { type: "ping", stream: 0, token: 1 });
      expect(await agent.next(0)).toEqual(refused);
      expect(await agent.close()).toBe(0);
      expect(agent.frames).toEqual([]);
    });
  });

  const put: HostFrame = {
    type: "put",
    stream: 1,
    flags: 0,
    mode: 0o600,
    path: "/tmp/boxrun-agent-never-written",
  };
  const sleep = (flags: number): HostFrame => ({
    type: "exec",
    stream: 1,
    flags,
    window: 1,
    cwd: "/",
    argv: ["sleep", "1000"],
    env: [],
  });
  const terminal: HostFrame = {
    type: "terminal",
    stream: 1,
    window: 1,
    cols: 80,
    rows: 24,
    cwd: "/",
    argv: ["sleep", "1000"],
    env: [],
  };
  const get: HostFrame = { type: "get", stream: 1, window: 0, path: "/proc/cpuinfo" };
  const eof: HostFrame = { type: "eof", stream: 1 };
  const data = (channel: "stdin" | "file", length = 1): HostFrame => ({
    type: "data",
    stream: 1,
    channel,
    data: new Uint8Array(length),
  });

  test.each<[string, HostFrame[]]>([
    ["an id in use", [sleep(0), sleep(0)]],
    ["a put on an id in use", [sleep(0), put]],
    ["stdin that was not asked for", [sleep(0), data("stdin")]],
    ["eof without stdin", [sleep(0), eof]],
    ["a second eof", [sleep(1), eof, eof]],
    ["stdin after eof", [sleep(1), eof, data("stdin")]],
    ["a file's bytes for a command", [sleep(1), data("file")]],
    ["stdin for a file", [put, data("stdin")]],
    // The pipe takes 64 KB of it, for which as much is granted again.
    ["more stdin than granted", [sleep(1), ...Array.from({ length: 12 }, () => data("stdin", 32_000))]],
    ["abort of a command", [sleep(0), { type: "abort", stream: 1 }]],
    ["a signal for a file", [put, { type: "signal", stream: 1, signal: 15 }]],
    ["terminate for a file", [put, { type: "terminate", stream: 1, graceMs: 1 }]],
    ["credit for a file that is put", [put, { type: "credit", stream: 1, bytes: 1 }]],
    ["eof of a file that is read", [get, eof]],
    ["a size for a command without a terminal", [sleep(1), { type: "resize", stream: 1, cols: 1, rows: 1 }]],
    ["typing after the end of a terminal", [terminal, eof, data("stdin")]],
    ["a terminal on an id in use", [sleep(0), terminal]],
    ["more credit than a window", [sleep(0), { type: "credit", stream: 1, bytes: MAX_WINDOW }]],
  ])("out of place: %s", async (_name, frames) => {
    await using agent = await AgentProcess.start();
    agent.send(...frames);
    expect(await agent.next(0, "fail")).toEqual(refused);
    expect(await agent.close()).toBe(0);
  });

  const network: HostFrame = {
    type: "network",
    stream: 0,
    address: 0x0a00020f,
    prefix: 24,
    gateway: 0x0a000202,
    dns: 0x0a000203,
    mtu: 32_000,
  };

  test("a network is answered, more than once, and not before setup", async () => {
    await using agent = await AgentProcess.start();
    for (let times = 0; times < 2; times++) {
      agent.send(network);
      expect(await agent.next(0)).toEqual({ type: "done", stream: 0, bytes: 0 });
    }
    await using early = await AgentProcess.start({ setup: false });
    early.send(network);
    expect(await early.next(0)).toEqual(refused);
  });

  test.each(malformedFrames.filter(({ name }) => name.startsWith("network")))(
    "in a box, a $name is refused",
    async ({ bytes }) => {
      await using agent = await AgentProcess.start();
      agent.send(bytes);
      expect(await agent.next(0)).toEqual(refused);
    },
  );

  test("a second setup is out of place", async () => {
    await using agent = await AgentProcess.start();
    agent.setup();
    expect(await agent.next(0)).toEqual(refused);
  });

  test.each([put, get])("before setup, $type is out of place", async (frame) => {
    await using agent = await AgentProcess.start({ setup: false });
    agent.send(frame);
    expect(await agent.next(0)).toEqual(refused);
  });

  test("before setup, a command is served", async () => {
    await using agent = await AgentProcess.start({ setup: false });
    agent.exec(1, ["echo", "early"]);
    expect((await agent.result(1)).stdout).toBe("early\n");
  });

  test("frames for streams that are not open are ignored", async () => {
    await using agent = await AgentProcess.start();
    agent.send(
      { type: "credit", stream: 5, bytes: 1 },
      { type: "eof", stream: 5 },
      { type: "abort", stream: 5 },
      { type: "signal", stream: 5, signal: 9 },
      { type: "terminate", stream: 5, graceMs: 0 },
      { type: "data", stream: 5, channel: "stdin", data: Uint8Array.of(1) },
    );
    await agent.settled();
    expect(agent.frames).toEqual([]);
  });

  test("a host that goes takes its commands with it", async () => {
    const agent = await AgentProcess.start();
    agent.exec(1, ["sleep", "1000"]);
    const { pid } = await agent.next(1, "started");
    expect(await agent.close()).toBe(0);
    // Nobody is left to reap it but the system, which may take its time: until then it is a zombie.
    while (isRunning(pid)) await new Promise((resolve) => setImmediate(resolve));
  });
});
