import type { GuestFrame, HostFrame } from "../../../src/local/protocol/frame-types.js";
import { encodeFrame, FrameReader } from "../../../src/local/protocol/frames.js";
import { startTimer } from "../../../src/util/timer.js";
import { Jail } from "./agent-jail.js";
import { Ledger, sessionBytes, understand } from "./agent-session.js";
import type { Mutator } from "./mutate.js";
import { rule, type Taken, type Target } from "./target.js";

/** For all that an agent may do in a session: its graces are milliseconds. */
const SESSION_MS = 30_000;
/** In milliseconds a killed group is gone, and its pipes with it; a busy machine takes longer. */
const SETTLE_MS = 10_000;
/** What two pipes hold, enlarged, and more. */
const PIPE_BYTES = 4 << 20;

/** The agent, built from `agent`, in a jail for each session. */
export function agentTarget(agent: string): Target {
  return {
    name: "the agent",
    async run(mutator): Promise<Taken> {
      const session = new Session(new Jail(agent), mutator);
      const stop = startTimer(SESSION_MS, () => {
        session.giveUp(`the session does not end, ${session.step}`);
        session.jail.kill();
      });
      try {
        return { accepted: await session.run() };
      } finally {
        stop();
        session.jail.kill();
        await session.jail.exited;
      }
    },
  };
}

class Session {
  private readonly reader = new FrameReader("guest");
  private readonly ledger = new Ledger();
  private broken: string | undefined;
  private pongs = new Set<number>();
  private isClosed = false;
  private wake = () => {};
  /** What is under way. */
  step = "before its beginning";

  constructor(
    readonly jail: Jail,
    private readonly mutator: Mutator,
  ) {
    jail.socket.on("data", (chunk: Buffer) => this.receive(new Uint8Array(chunk)));
    void jail.exited.then(() => {
      this.isClosed = true;
      this.wake();
    });
  }

  giveUp(why: string): void {
    this.broken ??= `${why}: ${this.jail.errors}`;
    this.wake();
  }

  /** Whether the agent took all of it. */
  async run(): Promise<boolean> {
    await this.until(() => this.helloed);
    const before = this.jail.census();
    this.step = "while it is told all";
    const { bytes } = sessionBytes(this.mutator);
    const sent = understand(bytes);
    if (sent.beyond) return false;
    for (const frame of sent.frames) this.ledger.asked(frame);
    for (const piece of this.mutator.chunks(bytes)) {
      if (piece.byteLength > 0) this.jail.socket.write(piece);
      if (this.mutator.random.chance(0.1)) await new Promise((resolve) => setImmediate(resolve));
    }
    const isDown = sent.frames.some(({ type }) => type === "shutdown") || this.ledger.failedSetup;
    this.step = "while it should refuse a frame";
    if (sent.refused && !isDown)
      await this.until(() => this.ledger.refusedByAgent || this.ledger.failedSetup);
    if (sent.whole && !sent.refused) await this.settle(before);
    this.step = "after its connection was closed";
    this.jail.socket.end();
    // What it reads no more would wait here for ever, and the end behind it.
    await this.until(() => this.isClosed || this.ledger.refusedByAgent);
    this.jail.socket.destroy();
    const code = await this.jail.exited;
    rule(this.broken === undefined, this.broken ?? "");
    rule(code === 0, `it exits with ${code}: ${this.jail.errors}`);
    rule(this.jail.errors === "", `it says ${this.jail.errors}`);
    return !this.ledger.refusedByAgent;
  }

  private helloed = false;

  private receive(chunk: Uint8Array): void {
    try {
      for (const frame of this.reader.push(chunk)) this.take(frame);
    } catch (error) {
      this.giveUp(`its frames are none: ${error}`);
    }
    this.wake();
  }

  private take(frame: GuestFrame): void {
    if (frame.type === "hello") this.helloed = true;
    if (frame.type === "pong") this.pongs.add(frame.token);
    const wrong = this.ledger.said(frame);
    if (wrong) this.giveUp(wrong);
  }

  /** All that is open is ended; then the agent has no more of anything than it began with. */
  private async settle(before: { descriptors: number; children: number }): Promise<void> {
    let token = 0x7000_0000;
    const ping = async () => {
      this.send({ type: "ping", stream: 0, token: ++token });
      await this.until(() => this.pongs.has(token) || this.ledger.refusedByAgent);
    };
    this.step = "while it should answer";
    await ping();
    for (const { id: stream, kinds, count, credit } of this.ledger.open) {
      if (this.ledger.refusedByAgent) return;
      const isCommand = kinds.has("exec") || kinds.has("terminal");
      // An id that was used again: what it is now, and what it has been granted, only the agent knows.
      if (isCommand && (kinds.size > 1 || count > 1)) return;
      this.send(isCommand ? { type: "terminate", stream, graceMs: 0 } : { type: "abort", stream });
      // For what stands in its pipes.
      if (isCommand && credit < PIPE_BYTES) this.send({ type: "credit", stream, bytes: PIPE_BYTES });
    }
    this.step = "while its streams should end";
    await this.until(() => this.ledger.open.length === 0 || this.ledger.refusedByAgent);
    this.step = "while it should let go of all";
    const late = performance.now() + SETTLE_MS;
    for (;;) {
      await ping();
      if (this.ledger.refusedByAgent || this.isClosed) return;
      const { descriptors, children } = this.jail.census();
      if (descriptors === before.descriptors && children === 0) return;
      rule(
        performance.now() < late,
        `${children} children and ${descriptors} of ${before.descriptors} descriptors are left`,
      );
    }
  }

  private send(frame: HostFrame): void {
    this.ledger.asked(frame);
    this.jail.socket.write(encodeFrame(frame));
  }

  private async until(holds: () => boolean): Promise<void> {
    while (!holds() && !this.isClosed) {
      rule(this.broken === undefined, this.broken ?? "");
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    rule(this.broken === undefined, this.broken ?? "");
  }
}
