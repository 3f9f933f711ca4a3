import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { continuePacket, infoPacket, readPacket, type WispPacket } from "../../../src/network/wisp.js";

/** A client of a relay, as the relay sees it. */
export interface RelayClient {
  socket: WebSocket;
  send(packet: Uint8Array): void;
  /** Packets that have come and were not taken. */
  next(): Promise<WispPacket>;
}

/** A relay that does what a test tells it. */
export class ScriptedRelay {
  private readonly waiting: RelayClient[] = [];
  private wake = () => {};

  private constructor(
    private readonly server: WebSocketServer,
    readonly url: string,
  ) {}

  /** Starts a relay. `greet` sends the first packets. */
  static async start(greet = greetOurs): Promise<ScriptedRelay> {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    const relay = new ScriptedRelay(server, `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    server.on("connection", (socket) => relay.accept(socket, greet));
    return relay;
  }

  /** Resolves to the next client that connects. */
  async client(): Promise<RelayClient> {
    for (;;) {
      const client = this.waiting.shift();
      if (client) return client;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Ends the relay and its connections. */
  close(): void {
    for (const socket of this.server.clients) socket.terminate();
    this.server.close();
  }

  private accept(socket: WebSocket, greet: (client: RelayClient) => void): void {
    const packets: WispPacket[] = [];
    let wake = () => {};
    socket.on("message", (data: Buffer) => {
      packets.push(readPacket(new Uint8Array(data)));
      wake();
    });
    socket.on("error", () => {});
    const client: RelayClient = {
      socket,
      send: (packet) => socket.send(packet),
      next: async () => {
        while (packets.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        return packets.shift()!;
      },
    };
    greet(client);
    this.waiting.push(client);
    this.wake();
  }
}

/** Greets as a relay of this project does. */
export function greetOurs({ send }: RelayClient): void {
  send(continuePacket(0, 4));
  send(infoPacket(0));
}

/** Greets as any other relay does. */
export function greetPlain({ send }: RelayClient): void {
  send(continuePacket(0, 4));
}
