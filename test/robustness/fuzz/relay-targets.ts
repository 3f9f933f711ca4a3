import { RelaySession } from "../../../src/local/network/relay-session.js";
import {
  closePacket,
  connectPacket,
  continuePacket,
  dataPacket,
  infoPacket,
  REASON,
  readPacket,
} from "../../../src/network/wisp.js";
import { Relay } from "../../../src/server/relay.js";
import type { WebSocketLike } from "../../../src/sockets/web-socket-types.js";
import type { Mutator } from "./mutate.js";
import { rule, type Taken, type Target } from "./target.js";

const CLOCKS = { openMs: 1000, connectMs: 1000, silentMs: 1000, lastWordsMs: 1000 };
const { signal } = new AbortController();

/** A WebSocket whose other side is a test. */
class FakeSocket implements WebSocketLike {
  binaryType = "";
  readonly bufferedAmount = 0;
  readonly sent: Uint8Array[] = [];
  isClosed = false;
  private onClose = () => {};
  private onMessage = (_event: { data: unknown }) => {};
  send(data: string | Uint8Array): void {
    rule(!this.isClosed, "it sends after it has closed");
    if (typeof data !== "string") this.sent.push(data);
  }
  close(): void {
    this.isClosed = true;
  }
  addEventListener(type: string, listener: (event: { data: unknown }) => void): void {
    if (type === "message") this.onMessage = listener;
    if (type === "close") this.onClose = () => listener({ data: undefined });
  }
  /** Ends it from the other side. */
  leave(): void {
    this.isClosed = true;
    this.onClose();
  }
  /** Gives it a message. */
  receive(data: unknown): void {
    this.onMessage({ data });
  }
}

/** A packet that a relay or a client could send, of one of the first streams. */
function packetOf({ random }: Mutator, isClient: boolean): Uint8Array {
  const stream = random.between(0, 3);
  return random.pick([
    () => dataPacket(stream, new Uint8Array(random.size(5000))),
    () => dataPacket(stream, new Uint8Array(random.size(5000))),
    () => continuePacket(stream, random.between(0, 200)),
    () => closePacket(stream, random.pick([...Object.values(REASON), 0, 1])),
    () => infoPacket(random.size(2 ** 20)),
    () => (isClient ? connectPacket(stream, random.pick(["a.example", "203.0.113.7"]), 80) : infoPacket(0)),
  ])();
}

const relay: Target = {
  name: "packets of a relay",
  async run(mutator): Promise<Taken> {
    const { random } = mutator;
    const socket = new FakeSocket();
    let ends = 0;
    const session = new RelaySession(socket, { onIdle: () => {}, onEnd: () => ends++ }, CLOCKS);
    socket.receive(continuePacket(0, 4).buffer);
    if (random.chance(0.5)) socket.receive(infoPacket(0).buffer);
    const opening = [1, 2].map((port) => session.connect({ host: "a.example", port }, signal));
    const good = Array.from({ length: random.between(1, 8) }, () => packetOf(mutator, false));
    for (const one of good) {
      const given = random.chance(0.3) ? mutator.mutate(one, good) : one;
      socket.receive(random.chance(0.02) ? "text" : Uint8Array.from(given).buffer);
    }
    session.close();
    const failed = (await Promise.allSettled(opening)).filter(({ status }) => status === "rejected");
    rule(ends === 1, `the session has ended ${ends} times`);
    rule(socket.isClosed && session.isIdle, "the session has not ended");
    const sentBytes = socket.sent.reduce((sum, { byteLength }) => sum + byteLength, 0);
    rule(sentBytes < 1000, "it sends more than its own packets");
    return { accepted: failed.length < 2 };
  },
};

const clients: Target = {
  name: "packets of a relay's client",
  async run(mutator): Promise<Taken> {
    const { random } = mutator;
    const socket = new FakeSocket();
    let open = 0;
    const dialed: string[] = [];
    const serving = new Relay(
      {
        connect: async ({ host }) => {
          dialed.push(host);
          open++;
          const release = () => void open--;
          return { readable: new ReadableStream({ cancel: release }), writable: new WritableStream() };
        },
      },
      { allow: ["a.example"] },
    ).serve(socket);
    const good = Array.from({ length: random.between(1, 8) }, () => packetOf(mutator, true));
    for (const one of [connectPacket(1, "a.example", 80), ...good]) {
      const given = random.chance(0.3) ? mutator.mutate(one, good) : one;
      socket.receive(random.chance(0.02) ? "text" : Uint8Array.from(given).buffer);
    }
    await new Promise(setImmediate);
    const accepted = !socket.isClosed;
    socket.leave();
    await serving;
    await new Promise(setImmediate);
    rule(open === 0, `${open} connections are left`);
    rule(
      dialed.every((host) => host === "a.example"),
      `it dials ${dialed}`,
    );
    for (const packet of socket.sent) readPacket(packet);
    return { accepted };
  },
};

/** Everything that reads the packets of Wisp. */
export const RELAY_TARGETS: readonly Target[] = [relay, clients];
