import type { BackendEvent, BoxInfo, ExecInfo, ExecSpec, OutputStream } from "../backend/backend.js";
import { untilAborted } from "../util/abort.js";
import { deferred } from "../util/deferred.js";
import { newId } from "../util/ids.js";
import { startTimer } from "../util/timer.js";

/** A file of a fake box. */
export interface FakeFile {
  /** Contents of the file. */
  bytes: Uint8Array;
  /** Permission bits. */
  mode: number;
  /** Time of the last change. @default the time at which the box was created */
  modifiedAt?: Date;
}

/** Files of a fake box, by absolute path. A directory exists if there are files in it, or `mkdir` created it. */
export type FakeFiles = Map<string, FakeFile>;

/** Argument of a {@link FakeProgram}: a process of a fake box. */
export interface FakeProcess {
  /** The command as argv. */
  cmd: readonly string[];
  /** Environment variables of the box and the command. */
  env: Readonly<Record<string, string>>;
  /** Directory that the command starts in. */
  workdir: string;
  /** Input of the command; empty unless the command has a stdin. */
  stdin: ReadableStream<Uint8Array>;
  /** Files of the box. Programs may change them. */
  files: FakeFiles;
  /** Prints to stdout, unless `stream` says otherwise. */
  write(data: string | Uint8Array, stream?: OutputStream): void;
  /** Aborts when the command is ended from outside: by cancel, a signal or its time limit. The program's exit code is ignored then. */
  signal: AbortSignal;
  /** Runs another command with the same files, input and output. Resolves to its exit code. */
  run(cmd: readonly string[]): Promise<number>;
}

/**
 * A program of a fake box. It returns its exit code, or a promise of it; anything that is not a number counts as 0. If it throws, the exit code is 1 and the
 * error is on stderr.
 *
 * @example
 * const upper: FakeProgram = ({ cmd, write }) => write(cmd.slice(1).join(" ").toUpperCase());
 */
export type FakeProgram = (process: FakeProcess) => unknown;

/** Finds the program of a command. */
export type FindProgram = (cmd: readonly string[]) => FakeProgram | undefined;

/** Numbers of signals. 128 + the number is the exit code of a command that the signal ends. */
const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** A command of a fake box, with all its output. */
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

  /** Yields the events after a cursor, then live ones, up to and including "exit". */
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

  /** Ends the command by a signal, which programs of a fake box cannot handle. */
  signal(name: string): void {
    this.end("failed", 128 + (SIGNALS[name] ?? 15));
  }

  /** Ends the command, if it has not ended. */
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

/** Runs the program of a command to its end, and resolves to its exit code. */
export async function runProgram(
  find: FindProgram,
  cmd: readonly string[],
  process: Omit<FakeProcess, "cmd" | "run">,
): Promise<number> {
  const program = find(cmd);
  if (!program) {
    const why = `FakeBackend has no program ${cmd[0]}: add it to programs`;
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
