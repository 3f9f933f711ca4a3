import type { BoxInfo, Terminal, TerminalSpec } from "../backend/backend.js";
import { requireTerminalSize } from "../backend/terminal-size.js";
import { deferred } from "../util/deferred.js";
import { type FakeFiles, type FindProgram, runProgram } from "./fake-execution.js";

const PROMPT = "$ ";
const INTERRUPT = "\x03";
const END_OF_INPUT = "\x04";
/** Characters with a meaning of their own. */
const CONTROL = new RegExp(`([\\n\\r${INTERRUPT}${END_OF_INPUT}])`);

/** A shell of a fake box: it echoes what is typed, runs a command a line, and knows "exit CODE" and "size". Ctrl-C ends the command, Ctrl-D the shell. */
export class FakeTerminal implements Terminal {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array | string>;
  readonly exited: Promise<number | null>;
  private readonly ended = deferred<number | null>();
  private controller!: ReadableStreamDefaultController<Uint8Array>;
  private roomMade = deferred<void>();
  private line = "";
  /** Input that arrives while a command runs. */
  private readonly ahead: string[] = [];
  private running: AbortController | undefined;
  private isOpen = true;

  /** A property, so that it may be taken from the object. */
  readonly close = async (): Promise<void> => {
    this.exit(null);
  };

  /** A property, so that it may be taken from the object. */
  readonly resize = (cols: number, rows: number): void => {
    requireTerminalSize({ cols, rows });
    this.spec = { ...this.spec, cols, rows };
  };

  constructor(
    private readonly box: BoxInfo,
    private spec: TerminalSpec,
    private readonly files: FakeFiles,
    private readonly find: FindProgram,
  ) {
    this.exited = this.ended.promise;
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.controller = controller;
        },
        pull: () => this.roomMade.resolve(),
        cancel: () => this.close(),
      },
      { highWaterMark: 64 * 1024, size: (chunk) => chunk.byteLength },
    );
    const decoder = new TextDecoder();
    this.writable = new WritableStream({
      write: async (chunk) => {
        const text = typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
        for (const piece of text.split(CONTROL)) this.type(piece);
      },
    });
    void this.print(PROMPT);
  }

  /** Ends the terminal with an error. */
  fail(reason: unknown): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.running?.abort();
    this.controller.error(reason);
    this.ended.reject(reason);
  }

  private exit(code: number | null): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.running?.abort();
    this.roomMade.resolve();
    try {
      this.controller.close();
    } catch {
      // The reader has canceled it.
    }
    this.ended.resolve(code);
  }

  /** Handles one control character, or text without any. */
  private type(piece: string): void {
    if (piece === INTERRUPT) return this.running?.abort();
    if (this.running) return void this.ahead.push(piece);
    if (piece === END_OF_INPUT) return this.exit(0);
    if (piece !== "\n" && piece !== "\r") {
      this.line += piece;
      return void this.print(piece);
    }
    const words = this.line.trim().split(/\s+/);
    this.line = "";
    const running = new AbortController();
    this.running = running;
    this.runLine(words, running.signal).then((code) => {
      this.running = undefined;
      if (code !== undefined) return this.exit(code);
      for (const next of this.ahead.splice(0)) this.type(next);
    });
  }

  /** Resolves to the exit code of the shell; undefined while it goes on. */
  private async runLine(words: string[], signal: AbortSignal): Promise<number | undefined> {
    await this.print("\r\n");
    const [name, argument] = words;
    if (name === "exit") return Number(argument ?? 0);
    if (name === "size") await this.print(`${this.spec.cols}x${this.spec.rows}\r\n`);
    else if (name !== "") await this.runCommand(words, signal);
    await this.print(PROMPT);
    return undefined;
  }

  private async runCommand(words: string[], signal: AbortSignal): Promise<void> {
    let printed = Promise.resolve();
    const process = {
      env: { ...this.box.env, TERM: this.spec.term },
      workdir: this.box.workdir,
      stdin: new ReadableStream<Uint8Array>({ start: (controller) => controller.close() }),
      files: this.files,
      write: (data: string | Uint8Array) => {
        printed = this.print(typeof data === "string" ? data.replaceAll("\n", "\r\n") : data);
      },
      signal,
    };
    await runProgram(this.find, words, process);
    await printed;
  }

  /** Prints, and resolves when there is room for more. */
  private async print(data: string | Uint8Array): Promise<void> {
    if (!this.isOpen || data.length === 0) return;
    this.controller.enqueue(typeof data === "string" ? new TextEncoder().encode(data) : data.slice());
    while (this.isOpen && (this.controller.desiredSize ?? 1) <= 0) {
      this.roomMade = deferred();
      await this.roomMade.promise;
    }
  }
}
