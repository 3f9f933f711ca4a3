import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { BoxRunError } from "../../src/backend/errors.js";
import { portClosed } from "../../src/backend/ports.js";
import type { Connection } from "../../src/index.js";
import { forwardPort } from "../../src/ports/forward.js";
import type { ForwardOptions } from "../../src/ports/port-types.js";
import { failure, pattern } from "../../src/testing/contract/tools.js";
import { listen } from "./local-server.js";

const echo = () => listen(createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)));

async function forward(connectTo: () => Promise<Connection>, options: ForwardOptions = {}) {
  const forwarding = await forwardPort(connectTo, 80, options);
  onTestFinished(() => forwarding.close());
  return forwarding;
}

/** Opens a plain TCP connection to a port of this machine. */
async function dial(port: number, host = "127.0.0.1"): Promise<Socket> {
  const socket = connect({ port, host, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function codeOf(socket: Socket): Promise<string | undefined> {
  return ((await once(socket, "error"))[0] as NodeJS.ErrnoException).code;
}

describe("a forwarded port", () => {
  it("carries bytes both ways, each to its own end", async () => {
    const server = await echo();
    const { hostPort, url } = await forward(server.connect);
    expect(url).toBe(`http://127.0.0.1:${hostPort}`);
    const socket = await dial(hostPort);
    const bytes = pattern(16_000_000);
    socket.end(bytes);
    const answer: Buffer[] = [];
    for await (const piece of socket) answer.push(piece);
    expect(Buffer.compare(Buffer.concat(answer), bytes)).toBe(0);
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("listens on the IPv4 loopback alone, unless another address is given", async () => {
    const server = await echo();
    const { hostPort } = await forward(server.connect);
    const v6 = connect({ port: hostPort, host: "::1" });
    expect(await codeOf(v6)).toMatch(/ECONNREFUSED|EADDRNOTAVAIL/);
    const elsewhere = connect({ port: hostPort, host: "127.0.0.2" });
    expect(await codeOf(elsewhere)).toBe("ECONNREFUSED");
    const open = await forward(server.connect, { host: "127.0.0.2" });
    expect(open.url).toBe(`http://127.0.0.2:${open.hostPort}`);
    await dial(open.hostPort, "127.0.0.2");
  });

  it("that is in use, or no port, is refused by name", async () => {
    const server = await echo();
    expect(await failure(forward(server.connect, { hostPort: server.port }))).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining(`cannot listen on 127.0.0.1:${server.port}: the port is in use`),
      hint: "hostPort 0 is a free one",
    });
    expect(await failure(forward(server.connect, { hostPort: 70_000 }))).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining("hostPort must be an integer from 0 to 65535, got 70000"),
    });
    expect(await failure(forwardPort(server.connect, 0))).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("resets connections while nothing listens in the box, and goes on", async () => {
    const server = await echo();
    let isUp = false;
    const { hostPort } = await forward(async () => {
      if (!isUp) throw portClosed(80);
      return server.connect();
    });
    expect(await codeOf(connect({ port: hostPort, host: "127.0.0.1" }))).toBe("ECONNRESET");
    isUp = true;
    const socket = await dial(hostPort);
    socket.write("ok");
    expect(String((await once(socket, "data"))[0])).toBe("ok");
  });

  it.each(["close()", "its signal"])("is ended by %s, with its connections", async (by) => {
    const server = await echo();
    const stop = new AbortController();
    const forwarding = await forward(server.connect, { signal: stop.signal });
    const { hostPort } = forwarding;
    const socket = await dial(hostPort);
    socket.write("ok");
    await once(socket, "data");
    const cut = codeOf(socket);
    if (by === "close()") await forwarding.close();
    else stop.abort();
    expect(await cut).toBe("ECONNRESET");
    await vi.waitFor(() => expect(server.open()).toBe(0));
    expect(await codeOf(connect({ port: hostPort, host: "127.0.0.1" }))).toBe("ECONNREFUSED");
  });

  it("is closed by its close alone, taken from it", async () => {
    const { close, closed, hostPort } = await forward((await echo()).connect);
    await close();
    await closed;
    expect(await codeOf(connect({ port: hostPort, host: "127.0.0.1" }))).toBe("ECONNREFUSED");
  });

  it("ends when the box is gone", async () => {
    const { hostPort } = await forward(async () => {
      throw new BoxRunError("BOX_NOT_FOUND", "there is no such box");
    });
    expect(await codeOf(connect({ port: hostPort, host: "127.0.0.1" }))).toBe("ECONNRESET");
    expect(await codeOf(connect({ port: hostPort, host: "127.0.0.1" }))).toBe("ECONNREFUSED");
  });

  it("lets go of the server when its client has gone", async () => {
    const silent = await listen(createServer((socket) => void socket.pause()));
    const { hostPort } = await forward(silent.connect);
    const socket = await dial(hostPort);
    await vi.waitFor(() => expect(silent.open()).toBe(1));
    socket.resetAndDestroy();
    await vi.waitFor(() => expect(silent.open()).toBe(0));
  });
});
