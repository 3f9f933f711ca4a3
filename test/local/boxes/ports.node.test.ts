import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { type BoxHandle, BoxRunClient, type Connection } from "boxrun";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { failure, pattern } from "../../../src/testing/contract/tools.js";

const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
let box: BoxHandle;
beforeAll(async () => {
  box = await client.create("tiny", { memoryMb: 256 });
});
afterAll(() => client.close());

/** Starts a server for each connection: a command whose stdin and stdout it is. */
async function serve(port: number, command: string, address = "127.0.0.1"): Promise<void> {
  await box.spawn("nc", ["-lk", "-s", address, "-p", String(port), "-e", "/bin/sh", "-c", command], {
    detached: true,
  });
  await box.ports.waitFor(port);
}

async function readAll({ readable }: Connection): Promise<Uint8Array> {
  return new Uint8Array(await new Response(readable).arrayBuffer());
}

async function ask(port: number, bytes: Uint8Array, server = box): Promise<Uint8Array> {
  const connection = await server.connect(port);
  const writer = connection.writable.getWriter();
  const sent = writer.write(bytes).then(() => writer.close());
  const answer = await readAll(connection);
  await sent;
  await connection.closed;
  return answer;
}

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("servers in a box without a network", () => {
  it("are refused as long as nothing listens", async () => {
    expect(await failure(box.connect(4000))).toMatchObject({ code: "PORT_CLOSED", retryable: true });
    expect(await failure(box.fetch(4000))).toMatchObject({ code: "PORT_CLOSED" });
    expect(await failure(box.ports.waitFor(4000, { timeoutMs: 1 }))).toMatchObject({ code: "PORT_CLOSED" });
  });

  it("get and give bytes, each direction to its own end", async () => {
    await serve(4001, "cat");
    const bytes = pattern(8_000_000);
    expect(hash(await ask(4001, bytes))).toBe(hash(bytes));
  });

  it("are listed with their addresses, and reached on ::1 alone", async () => {
    await serve(4002, "echo v6", "::1");
    expect(await box.ports.list()).toEqual(expect.arrayContaining([{ port: 4002, addresses: ["::1"] }]));
    expect(new TextDecoder().decode(await readAll(await box.connect(4002)))).toBe("v6\n");
  });

  it("that do not read hold up their writer alone, who may give up", async () => {
    await serve(4005, "sleep 600");
    const connection = await box.connect(4005);
    const writer = connection.writable.getWriter();
    const writing = failure(writer.write(pattern(16_000_000)));
    expect(new TextDecoder().decode(await ask(4001, new TextEncoder().encode("ok")))).toBe("ok");
    const reason = new Error("given up");
    await writer.abort(reason);
    expect(await failure(connection.closed)).toBe(reason);
    await writing;
  });

  it("are a port of this machine, for as long as the box runs", async () => {
    await serve(4006, "cat");
    const forwarding = await box.forward(4006);
    const socket = connect({ port: forwarding.hostPort, host: "127.0.0.1", allowHalfOpen: true });
    const bytes = pattern(2_000_000);
    socket.end(bytes);
    const answer: Buffer[] = [];
    for await (const piece of socket) answer.push(piece);
    expect(hash(Buffer.concat(answer))).toBe(hash(bytes));
    await forwarding.close();
    const refused = connect({ port: forwarding.hostPort, host: "127.0.0.1" });
    expect((await once(refused, "error"))[0]).toMatchObject({ code: "ECONNREFUSED" });
  });

  it("that do not read or are not read hold up nothing else", async () => {
    await serve(4003, "yes");
    const flood = await box.connect(4003);
    const reader = flood.readable.getReader();
    await reader.read();
    expect(new TextDecoder().decode(await ask(4001, new TextEncoder().encode("ok")))).toBe("ok");
    await reader.cancel();
    expect(await flood.closed).toBeUndefined();
  });

  it("cut the connection, which is told from its end", async () => {
    await serve(4004, "sleep 600");
    const connection = await box.connect(4004);
    const reading = failure(readAll(connection));
    const writer = connection.writable.getWriter();
    await writer.write(new TextEncoder().encode("unread"));
    await box.exec("pkill -9 sleep");
    expect(await reading).toMatchObject({ code: "STREAM_INTERRUPTED" });
  });

  it("are gone with their box", async () => {
    const other = await client.create("tiny", { memoryMb: 256 });
    await other.spawn("nc", ["-lk", "-p", "80", "-e", "cat"], { detached: true });
    await other.ports.waitFor(80);
    const connection = await other.connect(80);
    const reading = failure(readAll(connection));
    const { hostPort } = await other.forward(80);
    const socket = connect({ port: hostPort, host: "127.0.0.1" });
    socket.write("up");
    await once(socket, "data");
    const cut = once(socket, "error");
    await other.stop();
    expect(await reading).toMatchObject({ code: "BOX_NOT_RUNNING" });
    expect((await cut)[0]).toMatchObject({ code: "ECONNRESET" });
    const late = connect({ port: hostPort, host: "127.0.0.1" });
    expect((await once(late, "error"))[0]).toMatchObject({ code: "ECONNREFUSED" });
    expect(await failure(other.connect(80))).toMatchObject({ code: "BOX_NOT_RUNNING" });
    await other.remove();
  });
});

/** Echoes what it gets. Unlike BusyBox nc, it lets more than one client wait. */
const ECHO = `
import socket, threading
def echo(peer):
    with peer:
        while data := peer.recv(65536):
            peer.sendall(data)
server = socket.create_server(("127.0.0.1", 4100), backlog=128)
while True:
    threading.Thread(target=echo, args=server.accept()[:1]).start()
`;

it("a hundred connections at once each get their own answer, and leave nothing open", async () => {
  const python = await client.create("debian", { memoryMb: 256 });
  await python.spawn("python3", ["-c", ECHO], { detached: true });
  await python.ports.waitFor(4100);
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, i) => ask(4100, new TextEncoder().encode(`${i}`), python)),
  );
  expect(answers.map((answer) => new TextDecoder().decode(answer))).toEqual(answers.map((_, i) => `${i}`));
  const bytes = pattern(16_000_000);
  expect(hash(await ask(4100, bytes, python))).toBe(hash(bytes));
  // 1004 is 4100; 01 is a connection that is established.
  const { stdout } = await python.exec("grep -c ':1004 [0-9A-F:]* 01' /proc/net/tcp");
  expect(stdout).toBe("0\n");
  await python.remove({ force: true });
});
