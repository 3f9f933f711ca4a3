import {
  EXEC_STDIN,
  FILE_OPERATIONS,
  type GuestFrame,
  type HostFrame,
  MAX_DATA,
  MAX_VOLUMES,
  PUT_KEEP_MODE,
} from "../../../src/local/protocol/frame-types.js";
import { encodeFrame, FrameReader } from "../../../src/local/protocol/frames.js";
import { anyFrame } from "./frame-targets.js";
import { join, type Mutator } from "./mutate.js";

/** Nothing here reaches out of a group of processes, and every name is of the jail's own. */
const PATHS = [
  "/tmp",
  "/tmp/a",
  "/tmp/b",
  "/tmp/d",
  "/tmp/d/e",
  "/tmp/d/e/f",
  "/tmp/link",
  "/tmp/loop",
  "/tmp/none/x",
  "/",
  "/proc/self/status",
  "/proc/cpuinfo",
  "/proc",
  "/dev/null",
  "/dev/ptmx",
  "/usr",
  "relative",
  "/tmp/../tmp/a",
  "//tmp//a/",
  `/tmp/${"n".repeat(255)}`,
  `/tmp/${"m".repeat(300)}`,
];
const ABSOLUTE = PATHS.filter((path) => path.startsWith("/"));
const COMMANDS: readonly (readonly string[])[] = [
  ["/bin/true"],
  ["false"],
  ["cat"],
  ["cat"],
  ["sleep", "1000"],
  ["echo", "a", "b"],
  ["nothing-of-this-name"],
  [""],
  ["sh", "-c", "head -c 200000 /dev/zero; echo e >&2"],
  ["sh", "-c", "kill -9 $$"],
  ["sh", "-c", "trap '' TERM; sleep 1000"],
  ["sh", "-c", "sleep 0.05 & echo a"],
  // Jobs in groups of their own.
  ["bash", "-c", "set -m; sleep 0.3 & (trap '' TERM; sleep 0.3) & wait"],
  [
    "sh",
    "-c",
    "ln -s /tmp/a /tmp/link; ln -s /tmp/loop /tmp/loop; mkfifo /tmp/fifo; touch /tmp/a /tmp/d/e/f",
  ],
  ["sh", "-c", "exec 0<&- 1>&- 2>&-; sleep 0.01"],
];
const ENV = ["PATH=/usr/bin:/bin", "A=b"];
const IDS = 12;
const HEADER_BYTES = 12;

/** What a host asks of an agent, some of it out of place. */
export function hostFrame(mutator: Mutator): HostFrame {
  const { random } = mutator;
  const stream = random.chance(0.97) ? random.between(1, IDS) : random.size(0xffff_ffff) + 1;
  const window = random.pick([0, 1, 287, 4096, 1 << 20, 16 << 20]);
  const path = random.pick(PATHS);
  const data = new Uint8Array(random.size(MAX_DATA - 1) + 1).fill(120);
  const command = {
    stream,
    window,
    cwd: random.pick(["/", "/tmp", "/none", ""]),
    argv: random.pick(COMMANDS),
    env: random.chance(0.9) ? ENV : [],
  };
  switch (random.between(0, 14)) {
    case 0:
    case 1:
    case 2:
      return { type: "exec", flags: random.chance(0.5) ? EXEC_STDIN : 0, ...command };
    case 3:
      return { type: "terminal", cols: random.between(1, 1000), rows: random.between(1, 1000), ...command };
    case 4:
      return {
        type: "put",
        stream,
        flags: random.between(0, PUT_KEEP_MODE),
        mode: random.between(0, 0o7777),
        path,
      };
    case 5:
      return { type: "get", stream, window, path };
    case 6:
    case 7:
      return fileFrame(mutator, stream, path);
    case 8:
      return { type: "data", stream, channel: "stdin", data };
    case 9:
      return { type: "data", stream, channel: "file", data };
    case 10:
      return { type: "eof", stream };
    case 11:
      return { type: "credit", stream, bytes: random.pick([1, 287, 65_536, 1 << 20]) };
    case 12:
      return random.pick<HostFrame>([
        { type: "terminate", stream, graceMs: random.pick([0, 1, 20]) },
        { type: "signal", stream, signal: random.pick([2, 9, 15, 18, 64]) },
        { type: "resize", stream, cols: 80, rows: 24 },
        { type: "abort", stream },
      ]);
    case 13:
      return { type: "ping", stream: 0, token: random.between(1, 1000) };
    default:
      return random.chance(0.1)
        ? { type: "shutdown", stream: 0, graceMs: random.between(0, 20) }
        : { type: "clock", stream: 0, clock: 1n };
  }
}

function fileFrame({ random }: Mutator, stream: number, path: string): HostFrame {
  const operation = random.pick(Object.values(FILE_OPERATIONS));
  const second = operation === FILE_OPERATIONS.rename ? random.pick(PATHS) : "";
  return {
    type: "file",
    stream,
    operation,
    mode: random.between(0, 0o7777),
    window: random.pick([287, 4096, 1 << 20]),
    path,
    second,
  };
}

/** A SETUP with volumes, which the agent does not mount outside a guest. It refuses those at relative paths. */
function setupFrame({ random }: Mutator): HostFrame {
  const count = random.chance(0.3) ? random.between(1, MAX_VOLUMES) : 0;
  const paths = Array.from({ length: count }, () => random.pick(random.chance(0.95) ? ABSOLUTE : PATHS));
  return { ...SETUP, volumes: paths.map((path) => ({ path, readonly: random.chance(0.5) })) };
}

const SETUP: HostFrame & { type: "setup" } = {
  type: "setup",
  stream: 0,
  clock: 0n,
  entropy: new Uint8Array(16),
  hostname: "box",
  diskBytes: 0,
  memoryLimitBytes: 0,
  processLimit: 0,
  workdir: "/",
  volumes: [],
};

/** The frames of a session, as bytes, one of them or all of it perhaps broken. */
export function sessionBytes(mutator: Mutator): { bytes: Uint8Array; broken: boolean } {
  const { random } = mutator;
  const frames: HostFrame[] = [];
  if (random.chance(0.1)) frames.push({ type: "prepare", stream: 0 });
  if (random.chance(0.95)) frames.push(setupFrame(mutator));
  for (let i = random.between(1, 40); i > 0; i--)
    frames.push(random.chance(0.97) ? hostFrame(mutator) : (anyFrame(mutator, "host") as HostFrame));
  const parts = frames.map(encodeFrame);
  const broken = random.chance(0.6);
  if (!broken) return { bytes: join(parts), broken };
  if (random.chance(0.3)) return { bytes: mutator.mutate(join(parts), parts), broken };
  const at = random.between(0, parts.length - 1);
  parts[at] = random.chance(0.4)
    ? shortened(parts[at]!, random.between(1, 8))
    : mutator.mutate(parts[at]!, parts);
  return { bytes: join(parts), broken };
}

/** A frame that lacks its last bytes, and whose header knows: its last fields are not there. */
function shortened(frame: Uint8Array, bytes: number): Uint8Array {
  const short = frame.slice(0, Math.max(HEADER_BYTES, frame.byteLength - bytes));
  new DataView(short.buffer).setUint32(0, short.byteLength - HEADER_BYTES, true);
  return short;
}

/** What was sent, as this side's own reader understands it: what the agent must make of it, too. */
export interface Sent {
  frames: HostFrame[];
  /** False: it ends in a part of a frame. */
  whole: boolean;
  /** A frame that came whole is none. */
  refused: boolean;
  /** A frame holds a number that this side cannot hold, and never sends. The agent may take it. */
  beyond: boolean;
}

export function understand(bytes: Uint8Array): Sent {
  const frames: HostFrame[] = [];
  const sent = { frames, whole: true, refused: false, beyond: false };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; ) {
    if (bytes.byteLength - at < 12) return { ...sent, whole: false };
    const end = at + 12 + view.getUint32(at, true);
    if (end > bytes.byteLength) return { ...sent, whole: false };
    try {
      frames.push(...new FrameReader("host").push(bytes.subarray(at, end)));
    } catch (error) {
      // By its words: the reader refuses such numbers with the largest that it can hold.
      return { ...sent, refused: true, beyond: String(error).includes(String(Number.MAX_SAFE_INTEGER)) };
    }
    at = end;
  }
  return sent;
}

const OPENING = ["exec", "terminal", "put", "get", "file", "connect", "watch"];
const ENDS = ["exit", "done", "fail", "volume"];

/** Holds what the agent says against what it was asked. */
export class Ledger {
  private readonly opened = new Map<
    number,
    { count: number; ends: number; credit: number; kinds: Set<string> }
  >();
  refusedByAgent = false;
  failedSetup = false;
  private flushes = false;
  private isShutDown = false;

  asked(frame: HostFrame): void {
    const { stream, type } = frame;
    if (type === "shutdown") this.isShutDown = true;
    if (OPENING.includes(type)) {
      const found = this.opened.get(stream) ?? { count: 0, ends: 0, credit: 0, kinds: new Set() };
      found.count++;
      found.kinds.add(type);
      if ("window" in frame) found.credit += frame.window;
      this.opened.set(stream, found);
    } else if (type === "credit") {
      const found = this.opened.get(stream);
      if (found) found.credit += frame.bytes;
    }
  }

  /** What is wrong with a frame of the agent; undefined when it may say that. */
  said(frame: GuestFrame): string | undefined {
    const { type, stream } = frame;
    if (stream === 0) {
      if (type === "fail" && frame.stage === 1) this.refusedByAgent = true;
      else if (type === "fail") this.failedSetup = true;
      if (type === "flush" || type === "flushed") {
        if (this.flushes === (type === "flush")) return `${type}, which does not follow`;
        this.flushes = type === "flush";
      }
      return undefined;
    }
    const found = this.opened.get(stream);
    // Once it is down, it refuses whatever would begin a stream, without looking at it.
    const mayRefuse = type === "fail" && (this.isShutDown || this.failedSetup);
    if (!found) return mayRefuse ? undefined : `${type} for stream ${stream}, which never was`;
    if (ENDS.includes(type)) found.ends++;
    if (found.ends > found.count && !mayRefuse)
      return `stream ${stream} ends ${found.ends} times, and was opened ${found.count} times`;
    if (type !== "data") return undefined;
    found.credit -= frame.data.byteLength;
    // A stat of one file has no credit of its own to ask for: its window holds it.
    return found.credit < 0 ? `more data than was granted on stream ${stream}` : undefined;
  }

  /** Ids of streams that are open. */
  get open(): { id: number; kinds: Set<string>; count: number; credit: number }[] {
    return [...this.opened]
      .filter(([, { count, ends }]) => ends < count)
      .map(([id, { kinds, count, credit }]) => ({ id, kinds, count, credit }));
  }
}
