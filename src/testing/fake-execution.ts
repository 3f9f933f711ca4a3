import type { BackendEvent, BoxInfo, ExecInfo, ExecSpec, OutputStream } from "../backend/backend.js";
import { untilAborted } from "../util/abort.js";
import { deferred } from "../util/deferred.js";
import { newId } from "../util/ids.js";
import { startTimer } from "../util/timer.js";

/** The files of a fake box, by path; directories are there by what is in them, and where `mkdir` made them. */
export type FakeFiles = Map<string, { bytes: Uint8Array; mode: number; modifiedAt?: Date }>;

/** What a program of a fake box has. */
export interface FakeProcess {
  cmd: readonly string[];
  env: Readonly<Record<string, string>>;
  workdir: string;
  stdin: ReadableStream<Uint8Array>;
  files: FakeFiles;
  /** Prints. Default: to stdout. */
  write(data: string | Uint8Array, stream?: OutputStream): void;
  /** Aborts when the command is ended from outside: by cancel, a signal or its time limit. What the program returns then is of no more interest. */
  signal: AbortSignal;
  /** Runs another command with the same files, input and output. */
  run(cmd: readonly string[]): Promise<number>;
}

/** A program of a fake box. Returns its exit code; anything else is 0. One that throws exits with 1. */
export type FakeProgram = (process: FakeProcess) => unknown;

/** Finds a command's program. */
export type FindProgram = (cmd: readonly string[]) => FakeProgram | undefined;

/** 128 + these is the exit code of a command that they end. */
const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** One command of a fake box, and all it printed. */
export class FakeExecution {
  readonly info: ExecInfo;
  private readonly log: BackendEvent[] = [];
  private readonly ended = deferred<void>();
  private readonly life = new AbortController();
  private changed = deferred<void>();
  private stdin: ReadableStreamDefaultController<Uint8Array> | undefined;
  private readonly stopClock: () => void;

  constructor(
    box: BoxInfo,
    private readonly spec: ExecSpec,
    files: FakeFiles,
    find: FindProgram,
  ) {
    const { cmd, env, workdir, timeoutMs } = spec;
    this.info = {
      id: newId("exec"),
      boxId: box.id,
      status: "running",
      cmd: [...cmd],
      env,
      workdir,
      timeoutMs,
      exitCode: null,
      errorMessage: null,
      createdAt: new Date(),
      finishedAt: null,
    };
    const late = () => this.end("timeout", null, `timed out after ${timeoutMs} ms`);
    this.stopClock = timeoutMs === null ? () => {} : startTimer(timeoutMs, late);
    const stdin = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.stdin = controller;
        if (!spec.stdin) this.closeStdin();
      },
    });
    const process = {
      env: { ...box.env, ...env },
      workdir: workdir ?? box.workdir,
      stdin,
      files,
      write: (data: string | Uint8Array, stream: OutputStream = "stdout") => this.print(data, stream),
      signal: this.life.signal,
    };
    runProgram(find, cmd, process).then((code) => this.end(code === 0 ? "succeeded" : "failed", code));
  }

  /** The events after a cursor, then those to come, the exit last. */
  async *events({
    after,
    signal,
  }: {
    after: number;
    signal?: AbortSignal;
  }): AsyncGenerator<BackendEvent, void, undefined> {
    for (let next = after; ; ) {
      signal?.throwIfAborted();
      const event = this.log[next];
      if (!event) {
        await untilAborted(this.changed.promise, signal);
        continue;
      }
      next++;
      yield event;
      if (event.type === "exit") return;
    }
  }

  async wait(signal: AbortSignal | undefined): Promise<ExecInfo> {
    await untilAborted(this.ended.promise, signal);
    return { ...this.info };
  }

  write(chunk: Uint8Array): void {
    this.stdin?.enqueue(chunk.slice());
  }

  closeStdin(): void {
    this.stdin?.close();
    this.stdin = undefined;
  }

  /** A signal that no program of a fake box handles. */
  signal(name: string): void {
    this.end("failed", 128 + (SIGNALS[name] ?? 15));
  }

  /** Ends it, if it has not ended. */
  end(status: string, exitCode: number | null, errorMessage: string | null = null): void {
    if (this.info.status !== "running") return;
    this.stopClock();
    this.closeStdin();
    Object.assign(this.info, { status, exitCode, errorMessage, finishedAt: new Date() });
    this.append({ type: "exit", exitCode, seq: this.log.length + 1 });
    this.ended.resolve();
    this.life.abort(new Error(`the command was ended: ${status}`));
  }

  private print(data: string | Uint8Array, stream: OutputStream): void {
    if (this.info.status !== "running" || data.length === 0) return;
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data.slice();
    this.append({ type: "log", stream: this.spec.stderr ?? stream, bytes, seq: this.log.length + 1 });
  }

  private append(event: BackendEvent): void {
    this.log.push(event);
    const { resolve } = this.changed;
    this.changed = deferred();
    resolve();
  }
}

/** Runs a command's program to its end. */
export async function runProgram(
  find: FindProgram,
  cmd: readonly string[],
  process: Omit<FakeProcess, "cmd" | "run">,
): Promise<number> {
  const program = find(cmd);
  if (!program) {
    const why = `FakeBackend has no program ${cmd[0]}: give it in programs`;
    process.write(`${cmd[0]}: no such file or directory (${why})\n`, "stderr");
    return 127;
  }
  try {
    const run = (other: readonly string[]) => runProgram(find, other, process);
    const code = await program({ ...process, cmd, run });
    return typeof code === "number" ? code : 0;
  } catch (error) {
    process.write(`${cmd[0]}: ${error}\n`, "stderr");
    return 1;
  }
}
