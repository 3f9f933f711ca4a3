import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import WebSocket from "ws";
import { nodeDialer } from "../../../src/local/network/dialer-node.js";
import { RelayDialer } from "../../../src/local/network/relay-dialer.js";
import { readPacket, type WispPacket } from "../../../src/network/wisp.js";
import { serve } from "../../../src/server/node/serve.js";
import type { RelayOptions } from "../../../src/server/options.js";
import type { ServeOptions } from "../../../src/server/serve-types.js";
import type { ServerSocket } from "../../../src/server/terminal.js";
import { deferred } from "../../../src/util/deferred.js";
import { ScriptedBackend } from "../scripted-backend.js";

export const signal: AbortSignal = new AbortController().signal;
/** All names lead to this machine. */
export const dialer = nodeDialer({ lookup: async () => ["127.0.0.1"] });
/** Rules that let nothing else be reached, and this by names alone. */
export const HERE = { allow: ["*.example.com", "127.0.0.1/32:1-65535", "192.0.2.1"] };

export async function startRelay(relay: RelayOptions = {}, options: ServeOptions = {}) {
  const server = await serve(new ScriptedBackend(), {
    port: 0,
    relay: { dialer, token: "s3cret", ...HERE, ...relay },
    ...options,
  });
  onTestFinished(() => server.close());
  return { server, place: server.addresses[0]!.replace("http:", "ws:") };
}

export async function relayed(relay: RelayOptions = {}) {
  const { place, server } = await startRelay(relay);
  const client = new RelayDialer(`${place}/v1/relay/?token=s3cret`);
  onTestFinished(() => client.close());
  const connect = (port: number, host = "a.example.com") => client.connect({ host, port }, { signal });
  return { place, server, connect };
}

/** Starts a server of TCP, to which the names lead. */
export async function listen(onSocket: (socket: Socket) => void) {
  const accepted = deferred<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    onTestFinished(() => void socket.destroy());
    onSocket(socket);
    accepted.resolve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as { port: number }).port, accepted: accepted.promise };
}

export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Opens a WebSocket. Resolves to it, or to the status with which it was refused. */
export async function open(url: string, options: { origin?: string; protocols?: string[] } = {}) {
  const { protocols = [], ...rest } = options;
  const socket = new WebSocket(url, protocols, rest);
  onTestFinished(() => socket.terminate());
  const packets: WispPacket[] = [];
  let wake = () => {};
  socket.on("message", (data: Buffer) => {
    packets.push(readPacket(new Uint8Array(data)));
    wake();
  });
  const status = await new Promise<number>((resolve) => {
    socket.once("open", () => resolve(101));
    socket.once("unexpected-response", (_request, response) => resolve(response.statusCode!));
    socket.once("error", () => {});
  });
  const next = async (type: WispPacket["type"]): Promise<WispPacket> => {
    for (;;) {
      const found = packets.shift();
      if (found?.type === type) return found;
      if (!found) await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return { socket, status, next };
}

/** WebSocket of a client that reads nothing. */
export class UnreadSocket implements ServerSocket {
  bufferedAmount = 0;
  sent = 0;
  closedWith: number | undefined;
  leave = () => {};
  private onMessage = (_event: { data: unknown }) => {};
  send(data: string | Uint8Array): void {
    this.sent++;
    this.bufferedAmount += data.length;
  }
  close(code?: number): void {
    this.closedWith = code;
  }
  addEventListener(type: string, listener: (event: never) => void): void {
    if (type === "message") this.onMessage = listener as typeof this.onMessage;
    if (type === "close") this.leave = listener as () => void;
  }
  receive(data: unknown): void {
    this.onMessage({ data });
  }
}
