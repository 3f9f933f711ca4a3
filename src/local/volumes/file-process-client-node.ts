import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { BoxRunError, ERROR_CODES } from "../../backend/errors.js";
import { besideBuild } from "../../util/beside-build-node.js";
import { type Deferred, deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { type ErrnoName, VolumeError } from "./errno.js";
import type { FileAnswer, FileCallName, FileCalls, FileRequest } from "./file-calls.js";
import { FrameReader, frame } from "./file-frames-node.js";

/** Time that a process has to end by itself, in milliseconds. */
const END_MS = 3000;

/** Starts the process of {@link FileProcess}, with pipes for input and output. */
export function startFileProcess(): ChildProcess {
  return spawn(process.execPath, [fileURLToPath(besideBuild("./file-process.js"))], {
    // Not the folder of this process, which may be what hangs.
    cwd: "/",
    // Options of the process are for its own script. Electron's program is a browser without the other.
    env: { ...process.env, NODE_OPTIONS: "", ELECTRON_RUN_AS_NODE: "1" },
    stdio: ["pipe", "pipe", "ignore"],
  });
}

/** Calls of a process of its own on files of the host. A call that hangs holds that process only, which can be killed: a thread in such a call would hold the exit of the whole process. */
export class FileProcess {
  private readonly waiting = new Map<number, Deferred<unknown>>();
  private readonly reader = new FrameReader<FileAnswer>((answer) => this.receive(answer));
  private lastId = 0;
  private isEnding = false;
  private isOver = false;
  private isLate = false;
  private stopTimer = () => {};

  /** `limitMs` is the time that a call may take, in milliseconds. After one that takes longer, all fail with EIO. */
  constructor(
    private readonly child: ChildProcess,
    private limitMs: number,
  ) {
    for (const event of ["error", "exit"]) child.on(event, () => this.kill());
    // A process that cannot be started may have no pipes.
    child.stdin?.on("error", () => this.kill());
    child.stdout?.on("data", (bytes: Uint8Array) => this.reader.push(bytes));
  }

  /** Whether a call took too long. */
  get hasHung(): boolean {
    return this.isLate;
  }

  /** Sets another time for calls that begin from now on. */
  allow(limitMs: number): void {
    this.limitMs = limitMs;
  }

  /** Makes a call. @throws {VolumeError} what the file system refuses; EIO when it hangs or has hung */
  call<Name extends FileCallName>(
    call: Name,
    ...args: Parameters<FileCalls[Name]>
  ): Promise<ReturnType<FileCalls[Name]>> {
    if (this.isEnding || this.isOver) throw new VolumeError("EIO");
    const id = ++this.lastId;
    const answer = deferred<unknown>();
    this.waiting.set(id, answer);
    if (this.waiting.size === 1) this.startTimer();
    const request: FileRequest<Name> = { id, call, args };
    this.child.stdin?.write(frame(request));
    return answer.promise as Promise<ReturnType<FileCalls[Name]>>;
  }

  /** Closes a node or a file, without waiting for it. */
  release(number: number): void {
    if (!this.isEnding && !this.isOver) void this.call("close", number).catch(() => {});
  }

  /** Ends the process after the calls that were made, which get little time. */
  end(): void {
    if (this.isEnding || this.isOver) return;
    this.isEnding = true;
    this.child.stdin?.end();
    startTimer(END_MS, () => this.kill());
  }

  /** Ends the process at once. All calls fail. */
  kill(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.stopTimer();
    this.child.kill("SIGKILL");
    this.child.stdin?.destroy();
    this.child.stdout?.destroy();
    // One that hangs ends later, and nobody waits for that. Deno fails at this where none has started.
    if (this.child.pid !== undefined) this.child.unref();
    for (const answer of this.waiting.values()) answer.reject(new VolumeError("EIO"));
    this.waiting.clear();
  }

  private startTimer(): void {
    this.stopTimer();
    this.stopTimer = startTimer(this.limitMs, () => {
      this.isLate = true;
      this.kill();
    });
  }

  private receive(message: FileAnswer): void {
    const answer = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    // The process makes one call after the other, so the time of the next begins now.
    if (this.waiting.size > 0) this.startTimer();
    else this.stopTimer();
    if ("result" in message) answer?.resolve(message.result);
    else answer?.reject("errno" in message ? new VolumeError(message.errno as ErrnoName) : errorOf(message));
  }
}

function errorOf({ code, message }: { code: string; message: string }): BoxRunError {
  return new BoxRunError(ERROR_CODES.find((known) => known === code) ?? "RUNTIME_ERROR", message);
}
