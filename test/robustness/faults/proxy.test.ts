import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import type { Fault, FaultKind, Plan } from "./plan.js";
import { newPlan } from "./plan.js";
import { FaultProxy } from "./proxy.js";
import { Random } from "./random.js";

const HELLO = "0123456789";

/** A server that says hello and then what it is told, and a proxy before it. */
async function start(plan: Plan, onRestart?: () => void): Promise<FaultProxy> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(HELLO);
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = await FaultProxy.start((server.address() as AddressInfo).port, plan, onRestart);
  onTestFinished(async () => {
    await proxy.close();
    server.close();
  });
  return proxy;
}

function fault(kind: FaultKind, more: Partial<Fault> = {}): Fault {
  return { kind, connection: 0, direction: "down", afterBytes: 4, ms: 30, count: 3, mask: 1, ...more };
}

/** What comes until the connection ends, and how it ends. */
async function readAll(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (data) => {
    text += data;
  });
  const end = await new Promise<string>((resolve) => {
    socket.once("end", () => resolve("end"));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  socket.destroy();
  return `${text} ${end}`;
}

const open = (proxy: FaultProxy) => connect(proxy.port, "127.0.0.1");

it.each([
  ["cut", 4, /^0123 end$/],
  // What comes together with an RST may look like an end.
  ["reset", 4, /^(0123 end|(0123)? ECONNRESET)$/],
  ["reset", 0, /^ ECONNRESET$/],
])("%s after %i bytes ends a connection there", async (kind, afterBytes, expected) => {
  const proxy = await start([fault(kind as FaultKind, { afterBytes })]);
  expect(await readAll(open(proxy))).toMatch(expected);
  expect(proxy.fired.map(({ fault, connection }) => [fault.kind, connection])).toEqual([[kind, 0]]);
  expect(await proxy.idle(5000)).toBe(true);
});

it.each([
  ["delay", HELLO],
  ["dribble", HELLO],
  ["corrupt", "0123556789"],
])("%s lets everything through", async (kind, expected) => {
  const proxy = await start([fault(kind as FaultKind)]);
  const socket = open(proxy);
  socket.end();
  expect(await readAll(socket)).toBe(`${expected} end`);
  expect(proxy.fired).toHaveLength(1);
});

it.each(["stall", "swallow"] as const)(
  "%s leaves the connection open, and passes nothing on",
  async (kind) => {
    const proxy = await start([fault(kind)]);
    const socket = open(proxy);
    await once(socket, "data");
    socket.write("more");
    expect(proxy.open).toEqual({ clients: 1, servers: 1 });
    expect(socket.read()).toBeNull();
    socket.destroy();
    proxy.thaw();
    expect(await proxy.idle(5000)).toBe(true);
    expect(socket.bytesRead).toBe(4);
  },
);

it("does to other connections what it is told, and nothing else", async () => {
  const proxy = await start([
    fault("cut", { connection: 1 }),
    fault("cut", { direction: "up", afterBytes: 2, connection: "every" }),
  ]);
  const first = open(proxy);
  await once(first, "data");
  first.write("abcd");
  expect(await readAll(first)).toMatch(/^(ab)? end$/);
  expect(await readAll(open(proxy))).toBe("0123 end");
});

it("refuses a connection, and all others for a while", async () => {
  const proxy = await start([fault("refuse", { ms: 100 })]);
  expect(await readAll(open(proxy))).toBe(" ECONNRESET");
  expect(await readAll(open(proxy))).toBe(" ECONNREFUSED");
  await expect.poll(() => readAllOnce(proxy)).toBe(`${HELLO} end`);
});

async function readAllOnce(proxy: FaultProxy): Promise<string> {
  const socket = open(proxy);
  socket.end();
  return readAll(socket);
}

it("tells when the server is to be started again, and resets all", async () => {
  let restarts = 0;
  const proxy = await start([fault("restart", { connection: 1, afterBytes: 0 })], () => restarts++);
  const first = open(proxy);
  await once(first, "readable");
  const second = open(proxy);
  expect(await Promise.all([readAll(first), readAll(second)])).toEqual([
    expect.stringMatching(/ ECONNRESET$/),
    expect.stringMatching(/ ECONNRESET$/),
  ]);
  expect(restarts).toBe(1);
});

it("finds the request that a fault is aimed at, and counts from there", async () => {
  const proxy = await start([
    fault("cut", { aim: "POST /b", direction: "up", afterBytes: 3, connection: 7 }),
  ]);
  const socket = open(proxy);
  socket.write("GET /a HTTP/1.1");
  await once(socket, "readable");
  socket.write("POST /b HTTP/1.1");
  expect(await readAll(socket)).toMatch(/^0123456789GET \/a HTTP\/1\.1(POS)? end$/);
  expect(proxy.fired).toMatchObject([{ connection: 0, during: "POST /b" }]);
});

it("makes the same plan of the same seed, and others of others", () => {
  const plan = (seed: number) => newPlan(new Random(seed), { upBytes: 100, downBytes: 100, aims: ["GET"] });
  expect(plan(7)).toEqual(plan(7));
  const all = new Set(Array.from({ length: 50 }, (_, seed) => JSON.stringify(plan(seed))));
  expect(all.size).toBeGreaterThan(40);
});
