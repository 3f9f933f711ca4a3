import { setImmediate } from "node:timers/promises";
import type { Backend, ExecInfo } from "../../src/backend/backend.js";
import { deferred } from "../../src/util/deferred.js";
import { within } from "../../src/util/within.js";
import type { PublishedOptions } from "./server.js";

/** One event as the server keeps and sends it. */
interface Row {
  seq: number;
  event: "log" | "exit";
  stream: "stdout" | "stderr" | null;
  data: string;
}

/** Turns of the event loop that a write or the publishing of an event may take, less one. */
const MAX_TURNS = 4;
const MAX_DOWN_TURNS = 1000;

/**
 * A command on the published server: one task for each of its outputs, each of which takes a number, writes a row and publishes the event, and one task that waits for both and tells the exit. The
 * command itself runs on a backend.
 */
export class PublishedExecution {
  private readonly rows: Row[] = [];
  private readonly published: Row[] = [];
  private readonly tasks = { stdout: Promise.resolve(), stderr: Promise.resolve() };
  private changed = deferred();
  private nextSeq: number;
  /** The exit was told: live readers end. */
  private isOver = false;
  private state: number;

  constructor(
    private readonly backend: Backend,
    /** As the server tells of it. */
    readonly row: ExecInfo,
    private readonly options: PublishedOptions,
  ) {
    this.nextSeq = options.firstSeq ?? 0;
    this.state = options.seed ?? 1;
    void this.run();
  }

  /** Marks it as canceled, and stops the task that would have told the exit. Readers are told nothing. */
  async cancel(): Promise<void> {
    Object.assign(this.row, { status: "canceled", finishedAt: new Date() });
    if (this.options.cancelKills === false) return;
    // It may have ended meanwhile.
    await this.backend.cancelExec(this.row.boxId, this.row.id).catch(() => {});
  }

  /** Its events as the server sends them. */
  stream(): ReadableStream<Uint8Array> {
    const left = deferred();
    const text = this.events(left.promise);
    const utf8 = new TextEncoder();
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const { done, value } = await text.next();
          if (done) controller.close();
          else controller.enqueue(utf8.encode(value));
        },
        cancel: () => left.resolve(),
      },
      { highWaterMark: 0 },
    );
  }

  /** What was written before, by number; then what is published, as it comes. */
  private async *events(left: Promise<void>): AsyncGenerator<string, void, undefined> {
    const seen = new Set<number>();
    let next = this.published.length;
    for (const row of this.byNumber()) {
      seen.add(row.seq);
      yield encode(row);
      if (row.event === "exit") return;
    }
    if (this.row.status !== "running") {
      for (const row of this.byNumber().filter(({ seq }) => !seen.has(seq))) {
        seen.add(row.seq);
        yield encode(row);
        if (row.event === "exit") return;
      }
      const data = JSON.stringify({ exit_code: this.row.exitCode });
      yield encode({ seq: Math.max(-1, ...seen) + 1, event: "exit", stream: null, data });
      return;
    }
    for (;;) {
      for (; next < this.published.length; next++) {
        const row = this.published[next] as Row;
        if (seen.has(row.seq)) continue;
        yield encode(row);
        if (row.event === "exit") return;
      }
      if (this.isOver) return;
      const change = this.changed.promise.then(() => "changed");
      const came = await within(
        this.options.keepAliveMs ?? 15_000,
        Promise.race([change, left.then(() => "left")]),
      );
      if (came === "left") return;
      if (!came) yield ":\n\n";
    }
  }

  private async run(): Promise<void> {
    const { boxId, id } = this.row;
    try {
      for await (const event of this.backend.execEvents(boxId, id, { after: 0 })) {
        if (event.type === "exit") break;
        // Each piece by itself: a character that is cut in two is damaged.
        const data = new TextDecoder().decode(event.bytes);
        this.tasks[event.stream] = this.tasks[event.stream].then(() => this.log(event.stream, data));
      }
    } catch {
      // Its box is gone: the state says so.
    }
    await Promise.all(Object.values(this.tasks));
    if (this.row.status !== "running") return;
    const { code, error } = await this.outcome();
    const exit = { exit_code: code, ...(error !== null && { error }) };
    await this.tell({ seq: this.nextSeq, event: "exit", stream: null, data: JSON.stringify(exit) });
    await this.turns();
    const status = code === 0 && error === null ? "succeeded" : "failed";
    Object.assign(this.row, { status, exitCode: code, errorMessage: error, finishedAt: new Date() });
    this.isOver = true;
    this.change();
  }

  private async log(stream: "stdout" | "stderr", data: string): Promise<void> {
    await this.tell({ seq: this.nextSeq++, event: "log", stream, data });
  }

  /** Its number is taken. The other task may do all of its own work in between. */
  private async tell(row: Row): Promise<void> {
    await this.turns();
    this.rows.push(row);
    await this.turns();
    this.published.push(row);
    this.change();
  }

  private change(): void {
    const { resolve } = this.changed;
    this.changed = deferred();
    resolve();
  }

  /** A signal is a negative number, as is the end of a command that is out of time; -1 is a box that has ended. */
  private async outcome(): Promise<{ code: number; error: string | null }> {
    const { boxId, id } = this.row;
    const info = await this.backend.getExec(boxId, id).catch(() => undefined);
    if (!info || info.status === "error") await this.untilDown(boxId);
    if (info?.status === "timeout") return { code: this.options.timeLimitCode ?? -14, error: null };
    if (info?.status === "canceled") return { code: -1, error: "the connection to the box was closed" };
    const code = info?.exitCode ?? -1;
    return { code: code > 128 && code < 160 ? 128 - code : code, error: null };
  }

  /** A machine that has broken down may still read running for a moment. */
  private async untilDown(boxId: string): Promise<void> {
    for (let turns = 0; turns < MAX_DOWN_TURNS; turns++) {
      const box = await this.backend.getBox(boxId).catch(() => undefined);
      if (box?.status !== "running") return;
      await setImmediate();
    }
  }

  private byNumber(): Row[] {
    return [...this.rows].sort((a, b) => a.seq - b.seq);
  }

  /** A few turns of the event loop, as many each time as the seed says. */
  private async turns(): Promise<void> {
    this.state = (Math.imul(this.state, 1_103_515_245) + 12_345) >>> 0;
    for (let turns = (this.state >>> 16) % MAX_TURNS; turns > 0; turns--) await setImmediate();
  }
}

function encode({ event, stream, data, seq }: Row): string {
  return `event: ${event}\ndata: ${JSON.stringify({ stream, data, seq })}\n\n`;
}
