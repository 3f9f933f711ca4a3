/**
 * The frames that the host and the guest's agent exchange: the TypeScript half of wasm/agent/protocol.h, which is the
 * specification. Both halves are tested on test/fixtures/frames.json.
 */
import {
  bytes,
  clock,
  type Field,
  flag,
  integer,
  list,
  oneOf,
  records,
  type Text,
  text,
  textBytes,
} from "./frame-fields.js";

export const PROTOCOL_VERSION = 5;
export const FRAME_HEADER = 12;
/**
 * Size of a command's arguments and environment that Linux takes, in bytes, the program's path included. Each string counts with a zero and a pointer, which
 * are {@link STRING_OVERHEAD}.
 */
export const MAX_STRINGS = 2 << 20;
export const STRING_OVERHEAD = 5;
/** Longest of these strings, in bytes. */
export const MAX_STRING = 131_071;
/** Largest payload of a frame, in bytes. */
export const MAX_PAYLOAD = MAX_STRINGS + 8192;
/** Largest payload of a DATA frame, in bytes. */
export const MAX_DATA = 32768 - FRAME_HEADER;
/** Most credit outstanding on a stream, in bytes. */
export const MAX_WINDOW = 16 << 20;
export const MAX_STREAMS = 256;
/** Longest path, host name and error text, in bytes. */
export const MAX_PATH = 4095;
/** The modification time, in seconds, of no file. The agent sets it so that Linux reports a change; a volume ignores it. */
export const TOUCH_SECONDS = 2 ** 62;
export const MAX_HOSTNAME = 64;
export const MAX_DETAIL = 1024;
/** Most strings in one list. */
export const MAX_ARGS = 419_430;
/** Most volumes of one box. */
export const MAX_VOLUMES = 16;
export const MIN_ENTROPY = 16;
export const MAX_ENTROPY = 512;
export const MAX_SIGNAL = 64;
export const MAX_MODE = 0o7777;
/** Most columns or rows of a terminal. */
export const MAX_TERMINAL_SIZE = 1000;
export const MAX_PORT = 65_535;
/** Size limits of a packet of the box's network, in bytes. */
export const MIN_MTU = 68;
export const MAX_MTU = 32_000;
/** Longest prefix of the network's addresses that leaves room for the box and its gateway, in bits. */
export const MAX_PREFIX = 30;
/** Longest name in a directory, in bytes. */
export const MAX_NAME = 255;
/** Largest entry in the answer to a file operation, in bytes. */
export const MAX_ENTRY = 32 + MAX_NAME;
/** Largest change that a watch reports, and most that one frame has of them, in bytes. */
export const MAX_CHANGE = 9 + 2 * MAX_PATH;
/** Most directories of one watch. */
export const MAX_WATCHED = 8192;
/** Flag of `exec`: stdin is a pipe fed by `data` and closed by `eof`. */
export const EXEC_STDIN = 1;
/** Flag of `exec`: stderr is the pipe of stdout. */
export const EXEC_JOINED = 2;
/** Flag of `put`: the mode is only for a new file; an existing one keeps its own. */
export const PUT_KEEP_MODE = 1;
/** Flag of `watch`: with all directories below. */
export const WATCH_RECURSIVE = 1;

export const CHANNELS = { stdin: 0, stdout: 1, stderr: 2, file: 3 } as const;
export const STAGES = {
  protocol: 1,
  setup: 2,
  limit: 3,
  cwd: 4,
  exec: 5,
  open: 6,
  write: 7,
  read: 8,
  partly: 9,
} as const;

/** Codes of the changes that a watch reports. */
export const CHANGES = { created: 1, changed: 2, removed: 3, renamed: 4, overflow: 5 } as const;

/** Codes of the operations of a `file` frame. */
export const FILE_OPERATIONS = {
  stat: 1,
  lstat: 2,
  list: 3,
  mkdir: 4,
  mkdirs: 5,
  rename: 6,
  remove: 7,
} as const;

/** Frames from the host. `clock` is in ns since 1970; sizes are in bytes, times in ms. */
export type HostFrame =
  | {
      type: "setup";
      stream: 0;
      clock: bigint;
      entropy: Uint8Array;
      hostname: Text;
      /** Size of the file system; 0: as the disk has it. */
      diskBytes: number;
      /** Memory limit of the box; 0: none. */
      memoryLimitBytes: number;
      /** Process limit of the box; 0: none. */
      processLimit: number;
      workdir: Text;
      /** Volumes in the order of their numbers, and of their mounts: one within another comes after it. */
      volumes: readonly { readonly: boolean; path: Text }[];
    }
  | { type: "shutdown"; stream: 0; graceMs: number }
  | { type: "ping"; stream: 0; token: number }
  | { type: "clock"; stream: 0; clock: bigint }
  | { type: "prepare"; stream: 0 }
  /** Tells the box's programs that the host has changed a file in a volume. */
  | { type: "touch"; stream: 0; path: Text }
  /** Addresses as numbers: 0x0a00020f is 10.0.2.15. */
  | {
      type: "network";
      stream: 0;
      address: number;
      prefix: number;
      gateway: number;
      dns: number;
      mtu: number;
    }
  | {
      type: "exec";
      stream: number;
      flags: number;
      window: number;
      cwd: Text;
      argv: readonly Text[];
      env: readonly Text[];
    }
  | { type: "signal"; stream: number; signal: number }
  | { type: "put"; stream: number; flags: number; mode: number; path: Text }
  | { type: "get"; stream: number; window: number; path: Text }
  | { type: "abort"; stream: number }
  | { type: "terminate"; stream: number; graceMs: number }
  | {
      type: "file";
      stream: number;
      operation: number;
      mode: number;
      window: number;
      path: Text;
      /** New path of a rename, else empty. */
      second: Text;
    }
  | {
      type: "terminal";
      stream: number;
      window: number;
      cols: number;
      rows: number;
      cwd: Text;
      argv: readonly Text[];
      env: readonly Text[];
    }
  | { type: "resize"; stream: number; cols: number; rows: number }
  | { type: "connect"; stream: number; window: number; port: number }
  | { type: "watch"; stream: number; flags: number; window: number; path: Text }
  | { type: "data"; stream: number; channel: "stdin" | "file"; data: Uint8Array }
  | { type: "eof"; stream: number }
  | { type: "credit"; stream: number; bytes: number };

/** Ways in which a command ends: by itself, by a signal, or killed because the box's memory ran out. */
export type ExitHow = "exited" | "signaled" | "out of memory";

/** Frames from the guest. */
export type GuestFrame =
  | { type: "hello"; stream: 0; version: number; maxPayload: number }
  | { type: "ready"; stream: 0; diskBytes: number }
  | { type: "pong"; stream: 0; token: number }
  /** A flush of the box's disk begins. It covers all data written before this frame. */
  | { type: "flush"; stream: 0 }
  /** The running flush has ended. 0: its data is on the disk. */
  | { type: "flushed"; stream: 0; errno: number }
  | { type: "started"; stream: number; pid: number }
  | { type: "exit"; stream: number; how: ExitHow; value: number }
  | { type: "stat"; stream: number; size: number; mode: number; mtimeMs: number }
  | { type: "done"; stream: number; bytes: number }
  | { type: "fail"; stream: number; stage: number; errno: number; detail: string }
  /** Paths of a request, in the root of the 9p server; empty for one that is in no volume. */
  | { type: "volume"; stream: number; path: Uint8Array; second: Uint8Array }
  | { type: "data"; stream: number; channel: "stdout" | "stderr" | "file"; data: Uint8Array }
  | { type: "eof"; stream: number }
  | { type: "credit"; stream: number; bytes: number };

export type Frame = HostFrame | GuestFrame;

export type Side = "host" | "guest";
type FieldsOf<T extends Frame["type"]> = Omit<Extract<Frame, { type: T }>, "type" | "stream">;

/** Definition of a frame type. `on` says which streams it may name; "any" is 0 and every other. */
interface Definition<T extends Frame["type"]> {
  code: number;
  from: Side | "both";
  on: "own" | "stream" | "any";
  fields: { [K in keyof FieldsOf<T>]: Field<FieldsOf<T>[K]> };
}

function define<T extends Frame["type"]>(
  code: number,
  from: Definition<T>["from"],
  on: Definition<T>["on"],
  fields: Definition<T>["fields"],
): Definition<T> {
  return { code, from, on, fields };
}

const u32 = (min = 0, max = 0xffff_ffff) => integer(4, min, max);
/** Integer with 64 bits on the wire, and 53 here. */
const u64 = integer(8, 0, Number.MAX_SAFE_INTEGER);
const path = text(1, MAX_PATH);
const strings = (min: number) => list(min, MAX_ARGS, MAX_PAYLOAD);

/** Definitions with their fields in the order of the payload. */
const DEFINITIONS = {
  setup: define<"setup">(0x01, "host", "own", {
    clock,
    entropy: bytes(MIN_ENTROPY, MAX_ENTROPY),
    hostname: text(0, MAX_HOSTNAME),
    diskBytes: u64,
    memoryLimitBytes: u64,
    processLimit: u32(),
    workdir: text(0, MAX_PATH),
    volumes: records(MAX_VOLUMES, { readonly: flag, path: text(0, MAX_PATH) }),
  }),
  shutdown: define<"shutdown">(0x02, "host", "own", { graceMs: u32() }),
  ping: define<"ping">(0x03, "host", "own", { token: u32() }),
  clock: define<"clock">(0x04, "host", "own", { clock }),
  prepare: define<"prepare">(0x05, "host", "own", {}),
  network: define<"network">(0x06, "host", "own", {
    address: u32(),
    prefix: integer(1, 1, MAX_PREFIX),
    gateway: u32(),
    dns: u32(),
    mtu: u32(MIN_MTU, MAX_MTU),
  }),
  exec: define<"exec">(0x10, "host", "stream", {
    flags: integer(1, 0, EXEC_STDIN | EXEC_JOINED),
    window: u32(0, MAX_WINDOW),
    cwd: text(0, MAX_PATH),
    argv: strings(1),
    env: strings(0),
  }),
  signal: define<"signal">(0x11, "host", "stream", { signal: u32(1, MAX_SIGNAL) }),
  put: define<"put">(0x12, "host", "stream", {
    flags: integer(1, 0, PUT_KEEP_MODE),
    mode: u32(0, MAX_MODE),
    path,
  }),
  get: define<"get">(0x13, "host", "stream", { window: u32(0, MAX_WINDOW), path }),
  abort: define<"abort">(0x14, "host", "stream", {}),
  terminate: define<"terminate">(0x15, "host", "stream", { graceMs: u32() }),
  file: define<"file">(0x16, "host", "stream", {
    operation: integer(1, FILE_OPERATIONS.stat, FILE_OPERATIONS.remove),
    mode: u32(0, MAX_MODE),
    window: u32(MAX_ENTRY, MAX_WINDOW),
    path,
    second: text(0, MAX_PATH),
  }),
  terminal: define<"terminal">(0x17, "host", "stream", {
    window: u32(0, MAX_WINDOW),
    cols: u32(1, MAX_TERMINAL_SIZE),
    rows: u32(1, MAX_TERMINAL_SIZE),
    cwd: text(0, MAX_PATH),
    argv: strings(1),
    env: strings(0),
  }),
  resize: define<"resize">(0x18, "host", "stream", {
    cols: u32(1, MAX_TERMINAL_SIZE),
    rows: u32(1, MAX_TERMINAL_SIZE),
  }),
  touch: define<"touch">(0x07, "host", "own", { path }),
  watch: define<"watch">(0x1a, "host", "stream", {
    flags: integer(1, 0, WATCH_RECURSIVE),
    window: u32(MAX_CHANGE, MAX_WINDOW),
    path,
  }),
  connect: define<"connect">(0x19, "host", "stream", { window: u32(0, MAX_WINDOW), port: u32(1, MAX_PORT) }),
  eof: define<"eof">(0x21, "both", "stream", {}),
  credit: define<"credit">(0x22, "both", "stream", { bytes: u32(1, MAX_WINDOW) }),
  hello: define<"hello">(0x81, "guest", "own", { version: u32(), maxPayload: u32() }),
  ready: define<"ready">(0x82, "guest", "own", { diskBytes: u64 }),
  pong: define<"pong">(0x83, "guest", "own", { token: u32() }),
  flush: define<"flush">(0x84, "guest", "own", {}),
  flushed: define<"flushed">(0x85, "guest", "own", { errno: u32() }),
  started: define<"started">(0x90, "guest", "stream", { pid: u32() }),
  exit: define<"exit">(0x91, "guest", "stream", {
    how: oneOf(["exited", "signaled", "out of memory"]),
    value: u32(0, 255),
  }),
  stat: define<"stat">(0x92, "guest", "stream", { size: u64, mode: u32(0, MAX_MODE), mtimeMs: u64 }),
  done: define<"done">(0x93, "guest", "any", { bytes: u64 }),
  fail: define<"fail">(0x94, "guest", "any", {
    stage: integer(1, STAGES.protocol, STAGES.partly),
    errno: u32(),
    detail: text(0, MAX_DETAIL) as Field<string>,
  }),
  volume: define<"volume">(0x95, "guest", "stream", {
    path: textBytes(0, MAX_PATH),
    second: textBytes(0, MAX_PATH),
  }),
};

export const DATA = 0x20;

/** Number of each type on the wire. */
export const FRAME_TYPES: Readonly<Record<Frame["type"], number>> = {
  ...(Object.fromEntries(Object.entries(DEFINITIONS).map(([type, { code }]) => [type, code])) as Record<
    keyof typeof DEFINITIONS,
    number
  >),
  data: DATA,
};

/** A definition without its type parameter, and with the lengths that its payload may have. */
export interface Shape {
  type: string;
  code: number;
  from: Side | "both";
  on: "own" | "stream" | "any";
  fields: [name: string, field: Field<unknown>][];
  min: number;
  max: number;
}

const SHAPES = Object.entries(DEFINITIONS).map(([type, definition]): Shape => {
  const fields = Object.entries(definition.fields) as Shape["fields"];
  const sum = (index: 0 | 1) => fields.reduce((total, [, field]) => total + field.size[index], 0);
  return { ...definition, type, fields, min: sum(0), max: Math.min(sum(1), MAX_PAYLOAD) };
});
SHAPES.push({ type: "data", code: DATA, from: "both", on: "stream", fields: [], min: 1, max: MAX_DATA });
export const BY_TYPE = new Map(SHAPES.map((shape) => [shape.type, shape]));
export const BY_CODE = new Map(SHAPES.map((shape) => [shape.code, shape]));

/** Channels that each side may send on. */
export const CHANNELS_FROM: Record<Side, ReadonlyMap<number, keyof typeof CHANNELS>> = {
  host: new Map([
    [CHANNELS.stdin, "stdin"],
    [CHANNELS.file, "file"],
  ]),
  guest: new Map([
    [CHANNELS.stdout, "stdout"],
    [CHANNELS.stderr, "stderr"],
    [CHANNELS.file, "file"],
  ]),
};
