import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { AgentProcess, whySkipped } from "./agent-process.js";

const EPROTO = 71;
const ECONNREFUSED = 111;
const ECONNRESET = 104;
const ECANCELED = 125;
const ESHUTDOWN = 108;
const WINDOW = 1 << 20;
const OPEN = 6;
const LIMIT = 3;

/** A server of this machine, and the sockets that it has accepted. */
async function serve(host: string, onSocket: (socket: Socket) => void = () => {}) {
  const sockets: Socket[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket.on("error", () => {}));
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

const connect = (stream: number, port: number, window = WINDOW) =>
  ({ type: "connect", stream, window, port }) as const;
const data = (stream: number, text: string) =>
  ({ type: "data", stream, channel: "stdin", data: new TextEncoder().encode(text) }) as const;

/** A server that accepts nothing until it is told to, with room for two connections in its backlog. */
async function serveLate(): Promise<{ port: number; accept(): void }> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    const server = require("node:net").createServer((socket) => socket.on("error", () => {}));
    server.listen(0, "127.0.0.1", 1, () => {
      parentPort.postMessage(server.address().port);
      Atomics.wait(workerData, 0, 0);
    });`;
  const worker = new Worker(code, { eval: true, workerData: gate });
  const accept = () => {
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
  };
  onTestFinished(async () => {
    accept();
    await worker.terminate();
  });
  return { port: await new Promise((resolve) => worker.once("message", resolve)), accept };
}

/** Local ports from which this machine tries to connect to a port, without an answer so far. */
function attemptsAt(port: number): string[] {
  const peer = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const sent = new RegExp(`0100007F:([0-9A-F]{4}) ${peer} 02 `, "g");
  return [...readFileSync("/proc/net/tcp", "latin1").matchAll(sent)].map(([, local]) => local!);
}

/** Resolves once the server's socket has been cut by its other end. */
function cut(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) =>
    socket.resume().once("error", (error) => resolve((error as { code?: string }).code)),
  );
}

describe.skipIf(whySkipped)(`the agent's connections${whySkipped ? ` (skipped: ${whySkipped})` : ""}`, () => {
  test.each(["127.0.0.1", "::1"])("reach a server on %s, and end by direction", async (host) => {
    await using agent = await AgentProcess.start();
    const { port } = await serve(host, (socket) => {
      let got = "";
      socket.on("data", (bytes) => {
        got += bytes;
      });
      socket.once("end", () => socket.end(`got ${got}`));
    });
    agent.send(connect(1, port));
    await agent.next(1, "started");
    expect((await agent.next(1, "credit")).bytes).toBeGreaterThan(0);
    agent.send(data(1, "half"), { type: "eof", stream: 1 });
    const { stdout, frames, end } = await agent.result(1);
    expect(stdout).toBe("got half");
    expect(frames.at(-2)).toMatchObject({ type: "eof" });
    expect(end).toEqual({ type: "done", stream: 1, bytes: 8 });
  });

  test("are refused where nothing listens", async () => {
    await using agent = await AgentProcess.start();
    const { port, sockets } = await serve("127.0.0.1");
    agent.send(connect(1, port === 1 ? 2 : 1));
    expect(await agent.next(1, "fail")).toMatchObject({ stage: OPEN, errno: ECONNREFUSED });
    expect(sockets).toEqual([]);
  });

  test("are made anew while the server's backlog is full", async () => {
    await using agent = await AgentProcess.start();
    const { port, accept } = await serveLate();
    const streams = [1, 2, 3, 4];
    for (const stream of streams) agent.send(connect(stream, port));
    await vi.waitFor(() => expect(attemptsAt(port)).toHaveLength(2));
    const first = attemptsAt(port);
    // The kernel alone would try again from the same ports.
    await vi.waitFor(() => {
      const now = attemptsAt(port);
      expect(now).toHaveLength(2);
      expect(now.filter((one) => first.includes(one))).toEqual([]);
    });
    accept();
    for (const stream of streams) await agent.next(stream, "started");
  });

  test("end with an abort while the server's backlog is full", async () => {
    await using agent = await AgentProcess.start();
    const { port } = await serveLate();
    for (const stream of [1, 2, 3]) agent.send(connect(stream, port));
    await vi.waitFor(() => expect(attemptsAt(port)).toHaveLength(1));
    agent.send({ type: "abort", stream: 3 });
    expect(await agent.next(3, "fail")).toMatchObject({ errno: ECANCELED });
    expect(attemptsAt(port)).toEqual([]);
  });

  test("tell a reset after what came before it", async () => {
    await using agent = await AgentProcess.start();
    const { port } = await serve("127.0.0.1", (socket) => {
      socket.write("before", () => socket.once("data", () => socket.resetAndDestroy()));
    });
    agent.send(connect(1, port));
    await agent.next(1, "started");
    await agent.next(1, "credit");
    expect(new TextDecoder().decode((await agent.next(1, "data")).data)).toBe("before");
    agent.send(data(1, "x"));
    expect(await agent.next(1, "fail")).toMatchObject({ errno: ECONNRESET });
  });

  test("are under credit both ways", async () => {
    await using agent = await AgentProcess.start();
    const { port, sockets } = await serve(
      "127.0.0.1",
      (socket) => void socket.pause().write("x".repeat(300_000)),
    );
    agent.send(connect(1, port, 1000));
    await agent.next(1, "started");
    const granted = (await agent.next(1, "credit")).bytes;
    let received = 0;
    while (received < 1000) received += (await agent.next(1, "data")).data.byteLength;
    // Nobody reads at the other end: what is granted is taken, and no more.
    agent.send(data(1, "y".repeat(30_000)));
    await agent.settled();
    expect(received).toBe(1000);
    expect(granted).toBeGreaterThanOrEqual(30_000);
    agent.send({ type: "credit", stream: 1, bytes: 299_000 });
    while (received < 300_000) received += (await agent.next(1, "data")).data.byteLength;
    sockets[0]!.resume();
    await agent.settled();
  });

  test("are reset when they are aborted, when the box shuts down and when the host is gone", async () => {
    await using agent = await AgentProcess.start();
    const { port, sockets } = await serve("127.0.0.1");
    for (const stream of [1, 2]) {
      agent.send(connect(stream, port));
      await agent.next(stream, "started");
      await agent.next(stream, "credit");
    }
    await agent.settled();
    const [first, second] = sockets.map(cut);
    agent.send({ type: "abort", stream: 1 });
    expect(await agent.next(1, "fail")).toMatchObject({ errno: ECANCELED });
    expect(await first).toBe("ECONNRESET");
    agent.send({ type: "shutdown", stream: 0, graceMs: 1000 });
    expect(await agent.next(2, "fail")).toMatchObject({ stage: LIMIT, errno: ESHUTDOWN });
    expect(await second).toBe("ECONNRESET");
  });

  test.each([
    { type: "signal", stream: 1, signal: 15 },
    { type: "terminate", stream: 1, graceMs: 0 },
    { type: "resize", stream: 1, cols: 80, rows: 24 },
    { type: "data", stream: 1, channel: "file", data: new Uint8Array(1) },
  ] as const)("take no $type that is not theirs", async (frame) => {
    await using agent = await AgentProcess.start();
    const { port } = await serve("127.0.0.1");
    agent.send(connect(1, port));
    await agent.next(1, "started");
    agent.send(frame);
    expect(await agent.next(0, "fail")).toMatchObject({ errno: EPROTO });
  });
});
