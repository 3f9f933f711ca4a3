import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import type { Direction, Fault, Plan } from "./plan.js";

/** A fault that has happened. */
export interface Fired {
  fault: Fault;
  connection: number;
  /** The request that this connection last carried, as "GET /v1/info"; undefined where none had come. */
  during: string | undefined;
}

/** Of bytes that come one at a time. */
const TOGETHER = 8;

/** A TCP proxy on a port of its own that does to its connections what a plan says. */
export class FaultProxy {
  readonly fired: Fired[] = [];
  private readonly links = new Set<Link>();
  /** Of the plan, what waits for its request. */
  private readonly aimed: Set<Fault>;
  private accepted = 0;
  private closed = false;
  private refusing: NodeJS.Timeout | undefined;
  private onChange: () => void = () => {};

  private constructor(
    private readonly server: Server,
    readonly port: number,
    private readonly upstreamPort: number,
    private readonly plan: Plan,
    private readonly onRestart: () => void,
  ) {
    this.aimed = new Set(plan.filter(({ aim }) => aim !== undefined));
    server.on("connection", (client: Socket) => this.accept(client));
  }

  static async start(upstreamPort: number, plan: Plan, onRestart = () => {}): Promise<FaultProxy> {
    // Each direction ends by itself, as it does without a proxy.
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    return new FaultProxy(server, port, upstreamPort, plan, onRestart);
  }

  /** How many connections have come. */
  get connections(): number {
    return this.accepted;
  }

  /** Sockets that are open, towards clients and towards the server. */
  get open(): { clients: number; servers: number } {
    const all = [...this.links];
    return {
      clients: all.filter(({ client }) => !client.closed).length,
      servers: all.filter(({ upstream }) => !upstream.closed).length,
    };
  }

  /** What the open connections of clients last carried. */
  get requests(): string[] {
    return [...this.links].filter(({ client }) => !client.closed).map(({ request }) => request ?? "nothing");
  }

  /** Connections that take nothing take again, and pass nothing on: so that it shows whether their other end has let go of them. */
  thaw(): void {
    for (const link of this.links) link.thaw();
  }

  /** Resolves to true when no client is connected, to false when some still are after `ms`. */
  async idle(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.onChange = () => this.open.clients === 0 && resolve();
      timer = setTimeout(resolve, ms);
      this.onChange();
    });
    clearTimeout(timer);
    return this.open.clients === 0;
  }

  /** Ends everything. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.refusing);
    for (const link of this.links) link.reset();
    if (!this.server.listening) return;
    this.server.close();
    await once(this.server, "close");
  }

  private accept(client: Socket): void {
    const connection = this.accepted++;
    client.on("error", () => {});
    const faults = this.plan.filter(
      ({ aim, ...fault }) =>
        aim === undefined && (fault.connection === connection || fault.connection === "every"),
    );
    const refused = faults.find(({ kind }) => kind === "refuse");
    if (refused || this.closed) {
      resetNow(client);
      if (refused) this.refuse(refused, connection);
      return;
    }
    const upstream = connect({
      port: this.upstreamPort,
      host: "127.0.0.1",
      allowHalfOpen: true,
      noDelay: true,
    });
    const aimedAt = (request: string) => {
      const aimed = [...this.aimed].filter(({ aim = "" }) => new RegExp(aim).test(request));
      for (const fault of aimed) this.aimed.delete(fault);
      return aimed;
    };
    const link = new Link(client, upstream, faults, aimedAt, (fault) => {
      this.fired.push({ fault, connection, during: link.request });
      if (fault.kind !== "restart") return;
      this.onRestart();
      for (const each of this.links) each.reset();
    });
    this.links.add(link);
    for (const socket of [client, upstream]) {
      socket.on("close", () => {
        if (client.closed && upstream.closed) this.links.delete(link);
        this.onChange();
      });
    }
    link.start();
  }

  /** Closes the door for a while. */
  private refuse(fault: Fault, connection: number): void {
    this.fired.push({ fault, connection, during: undefined });
    if (!this.server.listening) return;
    this.server.close();
    const reopen = () => {
      if (!this.closed) this.server.listen(this.port, "127.0.0.1");
    };
    this.refusing = setTimeout(reopen, fault.ms);
    // Another process may have been given the port meanwhile: then it stays closed.
    this.server.on("error", () => {});
  }
}

/** One connection through the proxy. */
class Link {
  request: string | undefined;
  /** Faults to come, and after how many bytes of this connection; the next first. */
  private readonly armed: Record<Direction, { fault: Fault; at: number }[]> = { up: [], down: [] };
  private readonly passed = { up: 0, down: 0 };
  /** Set where what comes is taken and passed on to nobody. */
  private deaf = false;
  /** Directions in which nothing moves any more, not even the end. */
  private readonly silent = new Set<Direction>();
  private release = () => {};
  private readonly thawed = new Promise<void>((resolve) => {
    this.release = resolve;
  });

  constructor(
    readonly client: Socket,
    readonly upstream: Socket,
    faults: readonly Fault[],
    private readonly aimedAt: (request: string) => Fault[],
    private readonly onFired: (fault: Fault) => void,
  ) {
    for (const fault of faults) this.arm(fault, fault.afterBytes);
    upstream.on("error", () => resetNow(client));
    client.on("error", () => resetNow(upstream));
  }

  start(): void {
    const up = this.pass("up").catch(() => this.reset());
    const down = this.pass("down").catch(() => this.reset());
    // Where nothing moved any more, nobody was told of the other's end.
    Promise.all([up, down]).then(() => this.silent.size > 0 && this.reset());
  }

  thaw(): void {
    this.release();
  }

  reset(): void {
    this.release();
    for (const socket of [this.client, this.upstream]) resetNow(socket);
  }

  private arm(fault: Fault, at: number): void {
    const armed = this.armed[fault.direction];
    armed.push({ fault, at });
    armed.sort((a, b) => a.at - b.at);
  }

  /** A request may be what faults have waited for. */
  private notice(chunk: Buffer): void {
    const request = requestLine(chunk);
    if (request === undefined) return;
    this.request = request;
    for (const fault of this.aimedAt(request)) {
      this.arm(fault, this.passed[fault.direction] + fault.afterBytes);
    }
  }

  private async pass(direction: Direction): Promise<void> {
    const [source, target] = direction === "up" ? [this.client, this.upstream] : [this.upstream, this.client];
    const armed = this.armed[direction];
    const passed = this.passed;
    for await (const chunk of source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      if (direction === "up") this.notice(chunk);
      let rest = chunk;
      while (rest.byteLength > 0 && !this.silent.has(direction) && !this.deaf) {
        const next = armed[0];
        const free = next ? Math.max(0, next.at - passed[direction]) : rest.byteLength;
        passed[direction] += Math.min(free, rest.byteLength);
        await send(target, rest.subarray(0, free));
        rest = rest.subarray(free);
        if (!next || passed[direction] < next.at || (rest.byteLength === 0 && needsBytes(next.fault)))
          continue;
        const { fault } = next;
        armed.splice(armed.indexOf(next), 1);
        this.onFired(fault);
        if (fault.kind === "stall" || fault.kind === "swallow") this.silent.add(direction);
        const done = await this.suffer(fault, rest, target);
        passed[direction] += done;
        rest = rest.subarray(done);
      }
    }
    if (!this.silent.has(direction)) target.end();
    // Nobody will say so to the other; but whoever has gone has gone.
    if (this.silent.size > 0) source.destroy();
  }

  /** Does what the fault says. Returns how many of the bytes to come it has passed on. */
  private async suffer(fault: Fault, bytes: Buffer, target: Socket): Promise<number> {
    switch (fault.kind) {
      case "cut":
        this.deaf = true;
        this.client.end();
        this.upstream.end();
        return 0;
      case "reset":
        this.deaf = true;
        this.reset();
        return 0;
      case "stall":
        await this.thawed;
        return 0;
      case "delay":
        await new Promise((resolve) => setTimeout(resolve, fault.ms));
        return 0;
      case "dribble": {
        const few = bytes.subarray(0, fault.count);
        for (let at = 0; at < few.byteLength; at++) {
          await send(target, few.subarray(at, at + 1));
          // Writes of one turn may come as one; a turn for each would make a busy process slow beyond all clocks.
          if (at % TOGETHER === 0) await turn();
        }
        return few.byteLength;
      }
      case "corrupt":
        await send(target, Buffer.of(bytes.readUInt8(0) ^ fault.mask));
        return 1;
      default:
        return 0;
    }
  }
}

/** True for what does something to the bytes that come, and not to the connection. */
function needsBytes({ kind }: Fault): boolean {
  return kind === "corrupt" || kind === "dribble";
}

function requestLine(chunk: Buffer): string | undefined {
  return /^(GET|POST|DELETE) \S+/.exec(chunk.toString("latin1", 0, 300))?.[0];
}

/** An RST at once. `resetAndDestroy` sends what waits and a FIN first, so that the other side sees an orderly end. */
function resetNow(socket: Socket): void {
  if (socket.destroyed) return;
  // What `resetAndDestroy` sets, too; a test holds that it works.
  (socket as Socket & { resetAndClosing: boolean }).resetAndClosing = !socket.connecting;
  socket.destroy();
}

/** Resolves when there is room for more, or nobody left to have it. */
async function send(socket: Socket, bytes: Buffer): Promise<void> {
  if (bytes.byteLength === 0 || socket.destroyed || socket.writableEnded || socket.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      socket.off("drain", go);
      socket.off("close", go);
      resolve();
    };
    socket.on("drain", go);
    socket.on("close", go);
  });
}
