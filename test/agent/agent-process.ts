import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import {
  EXEC_JOINED,
  EXEC_STDIN,
  type GuestFrame,
  type HostFrame,
} from "../../src/local/protocol/frame-types.js";
import { encodeFrame, FrameReader } from "../../src/local/protocol/frames.js";
import { readResult } from "../../wasm/build/unpack.mjs";
import { ROOT } from "../root.js";

/** Why the agent cannot run here, or undefined. It is a Linux program for i386, which x86-64 kernels run too. */
export const whySkipped: string | undefined =
  process.platform === "linux" && ["x64", "ia32"].includes(process.arch)
    ? undefined
    : `the agent is a program for x86 Linux, and this is ${process.platform} on ${process.arch}`;

const CACHE = join(ROOT, ".cache/test");
let binary: string | undefined;

/** The path of the agent: BOXRUN_AGENT, or the prebuilt one unpacked. */
function agentBinary(): string {
  binary ??= process.env["BOXRUN_AGENT"];
  if (binary) return binary;
  const bytes = readResult("agent");
  const hash = createHash("sha256").update(bytes).digest("hex");
  mkdirSync(CACHE, { recursive: true });
  binary = join(CACHE, `agent-${hash.slice(0, 20)}`);
  if (existsSync(binary)) return binary;
  // Whole under its name: other test files may look for it now.
  const partial = `${binary}.${process.pid}`;
  writeFileSync(partial, bytes, { mode: 0o755 });
  renameSync(partial, binary);
  return binary;
}

interface Volume {
  readonly: boolean;
  path: string;
}

/** Boxes in which commands start differently: with volumes, the agent does not wait until the program is executed. */
export const BOXES: readonly (readonly [box: string, volumes: readonly Volume[]])[] = [
  ["in a box without volumes", []],
  ["in a box with volumes", [{ readonly: false, path: "/work" }]],
];

/** Returns the program and the arguments that run a command in another world. */
type Within = (command: string[]) => [string, string[]];

interface StartOptions {
  /** Whether the agent makes its box. @default true */
  setup?: boolean;
  env?: Record<string, string>;
  /** Volumes that the agent is told of. It mounts none. @default [] */
  volumes?: readonly Volume[];
  within?: Within;
}

/** State and parent of a process, undefined when there is none. */
export function processStat(pid: number): { state: string; parent: number; session: number } | undefined {
  try {
    const [state, parent, , session] = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return { state: state!, parent: Number(parent), session: Number(session) };
  } catch {
    return undefined;
  }
}

/** Everything a stream brought, up to its end. */
export interface StreamResult {
  frames: GuestFrame[];
  stdout: string;
  stderr: string;
  file: Buffer;
  /** Its EXIT, DONE, VOLUME or FAIL. */
  end: GuestFrame;
}

const ENDS = ["exit", "done", "fail", "volume"];

/** A real agent in its test mode, and the frames it sends. */
export class AgentProcess implements AsyncDisposable {
  /** Of every stream, in order, not yet taken; without those about flushes, which come at any time. */
  readonly frames: GuestFrame[] = [];
  /** Everything, in order, taken or not. */
  readonly received: GuestFrame[] = [];
  /** The agent's exit code, once its connection is closed. */
  readonly exited: Promise<number | null>;
  readonly pid: number;
  private readonly child: ChildProcess;
  private readonly socket: Socket;
  private readonly reader = new FrameReader("guest");
  private waiters: (() => void)[] = [];
  private gone = false;

  private constructor(env: Record<string, string>, within: Within) {
    this.child = spawn(...within([agentBinary(), "--fd", "3"]), {
      stdio: ["ignore", "inherit", "inherit", "pipe"],
      env: { ...process.env, ...env },
    });
    this.pid = this.child.pid!;
    this.socket = this.child.stdio[3] as Socket;
    // A connection that breaks shows in the frames that are missing.
    this.socket.on("error", () => {});
    this.socket.on("data", (chunk: Buffer) => {
      const frames = this.reader.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      this.received.push(...frames);
      this.frames.push(...frames.filter(({ type }) => type !== "flush" && type !== "flushed"));
      this.wake();
    });
    this.exited = new Promise((resolve) => this.child.once("exit", (code) => resolve(code)));
    void this.exited.then(() => {
      this.gone = true;
      this.wake();
    });
  }

  /** An agent that has said HELLO, and made its box unless `setup` is false. */
  static async start({
    setup = true,
    env = {},
    volumes = [],
    within = ([program, ...args]) => [program!, args],
  }: StartOptions = {}): Promise<AgentProcess> {
    const agent = new AgentProcess(env, within);
    await agent.next(0, "hello");
    if (!setup) return agent;
    agent.setup({ volumes });
    await agent.next(0, "ready");
    return agent;
  }

  send(...frames: (HostFrame | Uint8Array)[]): void {
    void this.sent(...frames);
  }

  /** Resolves when the kernel has taken them all, whether or not the agent reads. */
  sent(...frames: (HostFrame | Uint8Array)[]): Promise<void> {
    const bytes = frames.map((frame) => (frame instanceof Uint8Array ? frame : encodeFrame(frame)));
    return new Promise((resolve) => this.socket.write(Buffer.concat(bytes), () => resolve()));
  }

  setup(own: { workdir?: string; volumes?: readonly Volume[] } = {}): void {
    this.send({
      type: "setup",
      stream: 0,
      clock: 0n,
      entropy: new Uint8Array(16),
      hostname: "box",
      diskBytes: 1 << 20,
      memoryLimitBytes: 0,
      processLimit: 0,
      workdir: "/",
      volumes: [],
      ...own,
    });
  }

  /** Starts a command, with a window that is never exhausted by accident. */
  exec(
    stream: number,
    argv: readonly string[],
    options: {
      cwd?: string;
      env?: readonly string[];
      window?: number;
      stdin?: boolean;
      joined?: boolean;
    } = {},
  ): void {
    const { cwd = "/", env = [`PATH=${process.env["PATH"]}`], window = 1 << 20 } = options;
    const flags = (options.stdin ? EXEC_STDIN : 0) | (options.joined ? EXEC_JOINED : 0);
    this.send({ type: "exec", stream, flags, window, cwd, argv, env });
  }

  /** Shell text. */
  shell(stream: number, text: string, options: Parameters<AgentProcess["exec"]>[2] = {}): void {
    this.exec(stream, ["sh", "-c", text], options);
  }

  /** Takes the next frame of a stream, of this type when it is given. */
  async next<T extends GuestFrame["type"]>(
    stream: number,
    type?: T,
  ): Promise<Extract<GuestFrame, { type: T }>> {
    for (;;) {
      const at = this.frames.findIndex((frame) => frame.stream === stream && (!type || frame.type === type));
      if (at >= 0) return this.frames.splice(at, 1)[0] as Extract<GuestFrame, { type: T }>;
      if (this.gone) throw new Error(`the agent has exited, without ${type ?? "a frame"}`);
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  /** Resolves when another frame has come. */
  async arrived(): Promise<void> {
    if (this.gone) throw new Error("the agent has exited");
    await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /** Resolves once so many flushes have ended. */
  async flushed(count: number): Promise<void> {
    while (this.received.filter(({ type }) => type === "flushed").length < count) await this.arrived();
  }

  /** Takes all frames of a stream to its end, and grants again what it has taken. */
  async result(stream: number): Promise<StreamResult> {
    const frames: GuestFrame[] = [];
    const parts: Record<string, Uint8Array[]> = { stdout: [], stderr: [], file: [] };
    for (;;) {
      const frame: GuestFrame = await this.next(stream);
      frames.push(frame);
      if (frame.type === "data") {
        parts[frame.channel]!.push(frame.data);
        this.send({ type: "credit", stream, bytes: frame.data.byteLength });
      }
      if (!ENDS.includes(frame.type)) continue;
      const [stdout, stderr, file] = ["stdout", "stderr", "file"].map((name) => Buffer.concat(parts[name]!));
      return { frames, stdout: `${stdout}`, stderr: `${stderr}`, file: file!, end: frame };
    }
  }

  /** Resolves when the agent has dealt with all that was sent before, and said what it had to say at once. */
  async settled(): Promise<void> {
    for (let token = 1; token <= 20; token++) {
      this.send({ type: "ping", stream: 0, token });
      await this.next(0, "pong");
    }
  }

  /** Closes the connection, and resolves to the agent's exit code. */
  close(): Promise<number | null> {
    this.socket.end();
    // What the agent has sent and nobody reads must not keep the socket open.
    this.socket.resume();
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private wake(): void {
    const { waiters } = this;
    this.waiters = [];
    for (const wake of waiters) wake();
  }
}
