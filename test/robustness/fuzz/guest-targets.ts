import type { FileOperation } from "../../../src/backend/backend.js";
import { isBoxRunError } from "../../../src/backend/errors.js";
import { WINDOW_BYTES } from "../../../src/local/guest/credit.js";
import { Guest } from "../../../src/local/guest/guest.js";
import { connectInGuest } from "../../../src/local/guest/guest-connection.js";
import { getFile, putFile } from "../../../src/local/guest/guest-files.js";
import { operateInGuest } from "../../../src/local/guest/guest-operation.js";
import { GuestProcess } from "../../../src/local/guest/guest-process.js";
import { FrameError } from "../../../src/local/protocol/frame-fields.js";
import {
  type GuestFrame,
  type HostFrame,
  MAX_DATA,
  PROTOCOL_VERSION,
} from "../../../src/local/protocol/frame-types.js";
import { encodeFrame, FrameReader } from "../../../src/local/protocol/frames.js";
import { deferred } from "../../../src/util/deferred.js";
import { startTimer } from "../../../src/util/timer.js";
import { anyFrame, entryBytes } from "./frame-targets.js";
import { join, type Mutator } from "./mutate.js";
import { heldBytes, rule, type Taken, type Target } from "./target.js";

/** What a Worker gives on in one piece, at the most of one slice of emulation. */
const CHUNK_BYTES = 32_768;
const MAX_CHUNKS = 12;
/** Beside what came and was not read: the guest's own maps, and what a stream is. */
const GUEST_BYTES = 64 * 1024;
/** Entries of directories are objects; and a small piece of a message may keep three more of its like. */
const HELD_FOR_A_BYTE = 10;
const SETTLED_MS = 10_000;
const HELLO = encodeFrame({ type: "hello", stream: 0, version: PROTOCOL_VERSION, maxPayload: 1 });
const COMMAND = { argv: ["x"], env: [], workdir: "/", stdin: true };
const path = new TextEncoder().encode("/srv");
const OPERATIONS: FileOperation[] = [
  { op: "stat", path, followLinks: true },
  { op: "list", path },
  { op: "mkdir", path, mode: 0o755, recursive: true },
  { op: "rename", path, to: path },
  { op: "remove", path },
];

/** One guest, what was asked of it, and what came of that. */
class Session {
  readonly guest = new Guest((bytes) => this.transmit(bytes));
  /** Streams that were opened, by what for. */
  readonly opened: { stream: number; kind: string }[] = [];
  readonly pending: Promise<unknown>[] = [];
  /** Bytes that this side may still send, and that the guest may, by stream. */
  private readonly granted = new Map<number, number>();
  private readonly window = new Map<number, number>();
  private readonly reader = new FrameReader("host");
  private ended = 0;
  private commands = 0;
  private readonly crumbled = new Set<number>();
  private readonly isCrumbling: boolean;
  /** Of data, in all frames so far. */
  dataBytes = 0;

  constructor(private readonly mutator: Mutator) {
    this.isCrumbling = mutator.random.chance(0.1);
    for (let i = mutator.random.between(1, 6); i > 0; i--) this.ask();
    if (mutator.random.chance(0.2)) this.pending.push(this.guest.shutdown(1));
  }

  private ask(): void {
    const { guest, pending } = this;
    const { random } = this.mutator;
    switch (random.between(0, 7)) {
      case 0:
      case 1:
        return this.command();
      case 2: {
        const body = new ReadableStream<Uint8Array>({
          start: (controller) => {
            controller.enqueue(new Uint8Array(random.size(200_000)));
            controller.close();
          },
        });
        return void pending.push(putFile(guest, { path: "/a", mode: 0o600, body }));
      }
      case 3:
        return void pending.push(
          getFile(guest, "/a").then(
            ({ stream }) => void (random.chance(0.5) && readAll(stream).catch(() => {})),
          ),
        );
      case 4:
        return void pending.push(operateInGuest(guest, random.pick(OPERATIONS), undefined));
      case 5:
        return void pending.push(guest.ping(60_000));
      case 6:
        return void pending.push(this.connection());
      default:
        return void pending.push(guest.awaitHello());
    }
  }

  /** A connection to a server, which may be read and written to, or neither. */
  private async connection(): Promise<void> {
    const { random } = this.mutator;
    const reads = random.chance(0.5);
    const sent = new Uint8Array(random.size(100_000));
    const isCut = random.chance(0.2);
    const { readable, writable, closed } = await connectInGuest(this.guest, (work) => work(), 80, undefined);
    const writer = writable.getWriter();
    const work: Promise<unknown>[] = [closed, writer.write(sent).then(() => writer.close())];
    if (reads) work.push(readAll(readable));
    if (isCut) work.push(writer.abort());
    await Promise.allSettled(work);
  }

  private command(): void {
    const { random } = this.mutator;
    const releases = random.chance(0.5);
    this.commands++;
    const end = () => {
      this.ended++;
    };
    const command = random.chance(0.3) ? { ...COMMAND, terminal: { cols: 80, rows: 24 } } : COMMAND;
    const process = new GuestProcess(this.guest, command, {
      output: (_stream, bytes) => {
        rule(bytes.byteLength > 0 && bytes.byteLength <= MAX_DATA, "output of a wrong length");
        if (releases) process.release(bytes.byteLength);
      },
      exit: end,
      failed: end,
      lost: end,
    });
    this.pending.push(process.started, process.write(new Uint8Array(random.size(100_000))));
  }

  private transmit(bytes: Uint8Array): void {
    for (const frame of this.reader.push(bytes)) this.count(frame);
  }

  /** Of what this side sends: no more than it was granted. */
  private count(frame: HostFrame): void {
    const { stream } = frame;
    if (["exec", "terminal", "put", "get", "file", "connect"].includes(frame.type))
      this.opened.push({ stream, kind: frame.type });
    if (frame.type === "credit")
      this.window.set(stream, (this.window.get(stream) ?? WINDOW_BYTES) + frame.bytes);
    if (frame.type !== "data") return;
    const left = (this.granted.get(stream) ?? 0) - frame.data.byteLength;
    rule(left >= 0, "this side sent more than it was granted");
    this.granted.set(stream, left);
  }

  /** Something that a guest could say next, right or not. */
  frame(): GuestFrame {
    const { random } = this.mutator;
    const any = anyFrame(this.mutator, "guest") as GuestFrame;
    const { stream, kind } =
      random.chance(0.95) && this.opened.length > 0
        ? random.pick(this.opened)
        : { stream: random.size(0xffff_ffff), kind: "" };
    if (random.chance(0.1)) return any.stream === 0 ? any : ({ ...any, stream } as GuestFrame);
    const data = new Uint8Array(random.size(MAX_DATA - 1) + 1);
    const credit = { type: "credit", stream, bytes: random.size(300_000) + 1 } as const;
    const fail = {
      type: "fail",
      stream,
      stage: random.between(2, 8),
      errno: random.size(200),
      detail: "x",
    } as const;
    const file = { type: "data", stream, channel: "file", data } as const;
    const done = { type: "done", stream, bytes: 0 } as const;
    switch (kind) {
      case "put":
        return random.pick<GuestFrame>([credit, credit, done, fail]);
      case "connect":
        return random.pick<GuestFrame>([
          { type: "started", stream, pid: 1 },
          { ...file, channel: "stdout" },
          { ...file, channel: "stdout" },
          credit,
          { type: "eof", stream },
          done,
          fail,
        ]);
      case "get":
        return random.pick<GuestFrame>([
          { type: "stat", stream, size: 1, mode: 0, mtimeMs: 0 },
          file,
          file,
          file,
          done,
          fail,
        ]);
      case "file":
        return random.pick<GuestFrame>([
          { ...file, data: this.entries() },
          { ...file, data: this.entries() },
          done,
          fail,
        ]);
      default: {
        const output = {
          type: "data",
          stream,
          channel: random.pick(["stdout", "stderr"] as const),
          data,
        } as const;
        const exit = { type: "exit", stream, how: "exited", value: 0 } as const;
        return random.pick<GuestFrame>([
          { type: "started", stream, pid: 1 },
          output,
          output,
          output,
          credit,
          exit,
          fail,
        ]);
      }
    }
  }

  private entries(): Uint8Array {
    const { random } = this.mutator;
    const name = () =>
      Uint8Array.from({ length: random.chance(0.2) ? 0 : random.between(1, 20) }, () =>
        random.between(46, 122),
      );
    const whole = join(
      Array.from({ length: random.between(1, 5) }, () => entryBytes(name(), 1n, 0n, 0o100644, 0)),
    );
    return random.chance(0.3) ? this.mutator.mutate(whole).subarray(0, MAX_DATA) : whole;
  }

  /** A piece of what the guest sends, which may be broken anywhere. */
  chunk(): Uint8Array {
    const { mutator } = this;
    const get = this.opened.find(({ kind }) => kind === "get");
    if (get && this.isCrumbling) return this.crumbs(get.stream);
    const parts: Uint8Array[] = [];
    let length = 0;
    for (let i = mutator.random.size(20); i >= 0 && length < CHUNK_BYTES; i--) {
      const frame = this.frame();
      const bytes = encode(frame) ?? encodeFrame(anyFrame(mutator, "guest"));
      if (frame.type === "credit")
        this.granted.set(frame.stream, (this.granted.get(frame.stream) ?? 0) + frame.bytes);
      if (frame.type === "data") this.dataBytes += frame.data.byteLength;
      parts.push(bytes);
      length += bytes.byteLength;
    }
    const whole = join(parts);
    return mutator.random.chance(0.2) ? mutator.mutate(whole) : whole;
  }

  /** Little of a file, in a piece with much else. */
  private crumbs(stream: number): Uint8Array {
    const stat = this.crumbled.has(stream)
      ? []
      : [{ type: "stat", stream, size: 1, mode: 0, mtimeMs: 0 } as const];
    this.crumbled.add(stream);
    this.dataBytes++;
    const crumb = { type: "data", stream, channel: "file", data: Uint8Array.of(1) } as const;
    const rest = Array.from({ length: 1500 }, () => HELLO);
    return join([...[...stat, crumb].map(encodeFrame), ...rest]);
  }

  /** Everything that was asked ends, once the guest is gone. */
  async end(error: Error): Promise<void> {
    const gone = isBoxRunError(error) ? error : undefined;
    const lost = gone ?? Object.assign(new Error("gone"), { code: "RUNTIME_ERROR" });
    this.guest.lose(lost as never);
    rule(this.guest["streams"].size === 0, "streams are open though the guest is gone");
    rule(this.ended === this.commands, `of ${this.commands} commands ${this.ended} have ended`);
    // Nothing waits for a clock once it is told.
    const late = deferred<"late">();
    const stop = startTimer(SETTLED_MS, () => late.resolve("late"));
    const settled = Promise.allSettled(this.pending);
    rule((await Promise.race([settled, late.promise])) !== "late", "something still waits for the guest");
    stop();
  }
}

function encode(frame: GuestFrame): Uint8Array | undefined {
  try {
    return encodeFrame(frame);
  } catch {
    return undefined;
  }
}

async function readAll(stream: ReadableStream<Uint8Array>): Promise<void> {
  for await (const _ of stream);
}

const guest: Target = {
  name: "the host's side of a guest",
  async run(mutator): Promise<Taken> {
    const session = new Session(mutator);
    let refused: Error | undefined;
    let held = 0;
    for (let i = mutator.random.between(1, MAX_CHUNKS); i > 0 && !refused; i--) {
      try {
        session.guest.receive(session.chunk());
      } catch (error) {
        rule(error instanceof FrameError || isBoxRunError(error), `it threw ${error}`);
        refused = error as Error;
      }
      // What was taken in may be answered meanwhile.
      if (mutator.random.chance(0.5)) await Promise.resolve();
      held = Math.max(held, heldBytes(session.guest));
    }
    const most = GUEST_BYTES + HELD_FOR_A_BYTE * session.dataBytes;
    rule(held <= most, `it holds ${held} bytes for ${session.dataBytes} that came`);
    await session.end(refused ?? new Error("the machine has ended"));
    return { accepted: !refused, held };
  },
};

export const GUEST_TARGETS: readonly Target[] = [guest];
