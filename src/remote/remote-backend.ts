import type {
  Backend,
  BackendEvent,
  BackendInfo,
  BoxInfo,
  BoxSpec,
  BoxUsage,
  Capabilities,
  DownloadResult,
  ExecInfo,
  ExecSpec,
  FileEntry,
  FileOperation,
  ImageInfo,
  Terminal,
  TerminalSpec,
} from "../backend.js";
import { inStatus, newestFirst } from "../contract/lists.js";
import type { RouteParams } from "../contract/routes.js";
import {
  toCreateRequest,
  toExecRequest,
  wireBox,
  wireBoxes,
  wireDone,
  wireExec,
  wireExecs,
  wireImages,
  wireRemoved,
  wireUsage,
} from "../contract/wire.js";
import { BoxRunError, invalid, isBoxRunError, unsupported } from "../errors.js";
import { untilAborted } from "../util/abort.js";
import { capabilitiesOf, isExtended, type ServerInfo } from "./capabilities.js";
import { CursorNumbering, ReplayNumbering } from "./event-numbering.js";
import { EventOrders } from "./event-order.js";
import { type EventSource, followEvents } from "./events.js";
import { type Outcome, outcomeOf } from "./exec-outcome.js";
import { ExecWaiter } from "./exec-waiter.js";
import { FailedStarts, isFailedStart } from "./failed-starts.js";
import { excerptOf, protocolError } from "./failures.js";
import type { Call, Http } from "./http.js";
import type { Incoming } from "./incoming.js";

/** How long a server may take to say what it has just told a reader. */
const SETTLE_MS = 1000;

/** Boxes on a BoxRun server. It asks for extensions only where the server has named them. */
export class RemoteBackend implements Backend {
  readonly capabilities: Capabilities;
  private readonly waiter: ExecWaiter;
  private readonly failedStarts = new FailedStarts();
  private readonly orders = new EventOrders();
  /** Boxes whose start was given up: they are being stopped again. */
  private readonly stopping = new Map<string, Promise<void>>();

  constructor(
    private readonly http: Http,
    private readonly server: ServerInfo,
  ) {
    http.extended = isExtended(server);
    this.capabilities = capabilitiesOf(server);
    this.waiter = new ExecWaiter({
      state: async (boxId, execId, signal) => {
        const { info, failure } = await this.askExec(boxId, execId, signal);
        if (failure) throw failure;
        return info;
      },
    });
  }

  async info(): Promise<BackendInfo> {
    const { maxCpu, maxMemoryMb, server } = this.server;
    return {
      backend: "remote",
      description: `the BoxRun server at ${this.http.name}${server === null ? "" : ` (${server})`}`,
      maxCpu,
      maxMemoryMb,
      capabilities: this.capabilities,
    };
  }

  async images(): Promise<ImageInfo[]> {
    if (!this.server.capabilities.includes("images")) {
      throw unsupported(
        "this server does not list its images",
        'any image reference may do, and "default", "ubuntu", "python", "node", "golang", "rust" and "alpine" stand for some',
      );
    }
    return this.http.json("images", wireImages);
  }

  async pullImage(): Promise<void> {
    throw unsupported(`pull: ${this.capabilities.pull}`, "create a box of the image");
  }

  async createBox(spec: BoxSpec, { signal }: { signal?: AbortSignal }): Promise<BoxInfo> {
    signal?.throwIfAborted();
    const withinMs = this.http.clocks.lifecycleMs;
    const call: Call = { json: toCreateRequest(spec), withinMs, outlives: true };
    // Never aborted: a server may have finished it, and nobody would know the box's id. The answer is awaited, and the box removed.
    const created = this.http.json("createBox", wireBox, call);
    this.undoLate(created, ({ id }) => this.removeBox(id, { force: true }, "late"), signal);
    return this.unlessGivenUp(created, signal);
  }

  async getBox(idOrName: string): Promise<BoxInfo> {
    return this.http.json("getBox", wireBox, { params: at(idOrName) });
  }

  async listBoxes({ status }: { status?: string }): Promise<BoxInfo[]> {
    const boxes = await this.http.json(
      "listBoxes",
      wireBoxes,
      status === undefined ? {} : { query: { status } },
    );
    // The published API knows only "running", "stopped" and "all" here.
    return newestFirst(inStatus(boxes, status));
  }

  async stopBox(id: string, outlives?: "late"): Promise<BoxInfo> {
    const withinMs = this.http.clocks.lifecycleMs;
    return this.http.json("stopBox", wireBox, { params: at(id), withinMs, ...(outlives && { outlives }) });
  }

  async startBox(id: string, { signal }: { signal?: AbortSignal }): Promise<BoxInfo> {
    signal?.throwIfAborted();
    const call: Call = { params: at(id), withinMs: this.http.clocks.lifecycleMs, outlives: true };
    // A server may start it all the same: then it is stopped again, and who starts it anew waits for that.
    await untilAborted(this.stopping.get(id) ?? Promise.resolve(), signal);
    const started = this.http.json("startBox", wireBox, call);
    const stopped = this.undoLate(started, () => this.stopBox(id, "late"), signal);
    this.stopping.set(id, stopped);
    stopped.then(() => this.stopping.get(id) === stopped && this.stopping.delete(id));
    return this.unlessGivenUp(started, signal);
  }

  async removeBox(id: string, { force }: { force: boolean }, outlives: true | "late" = true): Promise<void> {
    const removed = this.http.json("removeBox", wireDone, {
      params: at(id),
      ...(force && { query: { force: "true" } }),
      withinMs: this.http.clocks.lifecycleMs,
      outlives,
    });
    await this.http.cleanUp(removed);
  }

  async gc({ olderThan }: { olderThan: number }): Promise<number> {
    const json = { older_than: olderThan };
    const call = { json, withinMs: this.http.clocks.lifecycleMs };
    return (await this.http.json("gc", wireRemoved, call)).removed;
  }

  async usage(id: string): Promise<BoxUsage> {
    this.require("usage");
    return this.http.json("usage", wireUsage, { params: at(id) });
  }

  async startExec(boxId: string, spec: ExecSpec): Promise<ExecInfo> {
    if (spec.stdin) this.require("stdin");
    try {
      return await this.http.json("startExec", wireExec, { params: at(boxId), json: toExecRequest(spec) });
    } catch (error) {
      if (!isFailedStart(error) || isExtended(this.server)) throw error;
      const { status } = await this.getBox(boxId);
      if (status !== "running")
        throw new BoxRunError("BOX_NOT_RUNNING", `box ${boxId} is in status ${status}`, { cause: error });
      return this.failedStarts.add(boxId, spec, error);
    }
  }

  async getExec(boxId: string, execId: string): Promise<ExecInfo> {
    return (await this.askExec(boxId, execId)).info;
  }

  async listExecs(boxId: string): Promise<ExecInfo[]> {
    const told = await this.http.json("listExecs", wireExecs, { params: at(boxId) });
    let box: Promise<BoxInfo> | undefined;
    const askBox = () => {
      box ??= this.getBox(boxId);
      return box;
    };
    const outcomes = await Promise.all(told.map((info) => outcomeOf(info, askBox)));
    return newestFirst([...outcomes.map(({ info }) => info), ...this.failedStarts.list(boxId)]);
  }

  async *execEvents(
    boxId: string,
    execId: string,
    { after, signal }: { after: number; signal?: AbortSignal },
  ): AsyncGenerator<BackendEvent, void, undefined> {
    if (this.failedStarts.get(boxId, execId)) return yield* this.failedStarts.events(execId, after);
    const what = `events of ${execId}`;
    const source: EventSource = {
      what,
      open: (seen) => this.openEvents(boxId, execId, seen, signal),
      state: (told) => this.askExec(boxId, execId, signal, told),
      // A server of ours tells its readers of the end.
      watchEnd: (onEnd) => (isExtended(this.server) ? () => {} : this.waiter.onCancel(execId, onEnd)),
      backoffMs: (attempt) => this.http.backoffMs(attempt),
      ...(!isExtended(this.server) && { isSettled: () => this.isSettled(boxId, execId, signal) }),
      silenceMs: this.http.clocks.silenceMs,
    };
    const numbering =
      this.capabilities.cursor === true
        ? new CursorNumbering(after, what)
        : new ReplayNumbering(this.orders.of(execId), after, what);
    for await (const event of followEvents(source, numbering, signal)) {
      if (event.type === "exit") this.waiter.wake(boxId, execId);
      yield event;
    }
  }

  async waitExec(boxId: string, execId: string, { signal }: { signal?: AbortSignal }): Promise<ExecInfo> {
    return this.waiter.wait(boxId, execId, signal);
  }

  async cancelExec(boxId: string, execId: string): Promise<ExecInfo> {
    this.requireStarted(boxId, execId);
    const params = at(boxId, execId);
    const withinMs = this.http.clocks.lifecycleMs;
    const canceled = this.http.json("cancelExec", wireExec, { params, withinMs, outlives: true });
    const info = await this.http.cleanUp(canceled);
    this.waiter.canceled(boxId, execId);
    return (await outcomeOf(info, () => this.getBox(boxId))).info;
  }

  async signalExec(boxId: string, execId: string, signal: string): Promise<void> {
    this.require("signal");
    this.requireStarted(boxId, execId);
    await this.http.json("signalExec", wireDone, { params: at(boxId, execId), json: { signal } });
  }

  async writeStdin(boxId: string, execId: string, chunk: Uint8Array): Promise<void> {
    const { writeStdin } = await import("./stdin.js");
    return writeStdin(this.http, at(boxId, execId), chunk);
  }

  async closeStdin(boxId: string, execId: string): Promise<void> {
    const { closeStdin } = await import("./stdin.js");
    return closeStdin(this.http, at(boxId, execId));
  }

  async attach(boxId: string, spec: TerminalSpec, { signal }: { signal?: AbortSignal }): Promise<Terminal> {
    this.require("attach");
    // A WebSocket does not tell why it was refused.
    const { status } = await this.getBox(boxId);
    if (status !== "running")
      throw new BoxRunError("BOX_NOT_RUNNING", `the box ${boxId} is ${status} (start it first)`);
    const isAlive = () => this.getBox(boxId);
    const { attach } = await import("./terminal.js");
    return attach(this.http, boxId, spec, { isAlive, ...(signal && { signal }) });
  }

  async upload(
    boxId: string,
    path: string,
    body: ReadableStream<Uint8Array>,
    options: { mode: number; signal?: AbortSignal },
  ): Promise<void> {
    requireFilePath(path);
    requireBoxId(boxId);
    if (this.http.extended) {
      const { upload } = await import("./upload.js");
      return upload(this.http, boxId, path, body, options);
    }
    const { uploadPlain } = await import("./upload-plain.js");
    return uploadPlain(this.http, boxId, path, body, options, {
      startExec: (spec) => this.startExec(boxId, spec),
      waitExec: (execId, signal) => this.waiter.wait(boxId, execId, signal),
    });
  }

  async download(boxId: string, path: string, { signal }: { signal?: AbortSignal }): Promise<DownloadResult> {
    requireFilePath(path);
    const { download } = await import("./download.js");
    return download(this.http, requireBoxId(boxId), path, signal);
  }

  async fileOperation(
    boxId: string,
    operation: FileOperation,
    options: { signal?: AbortSignal },
  ): Promise<FileEntry[]> {
    this.require("files");
    const params = at(boxId);
    return (await import("./file-operation.js")).fileOperation(this.http, params, operation, options);
  }

  /** The boxes are the server's, and go on. */
  close(): Promise<void> {
    return this.http.close();
  }

  /** Undoes what is done only after its caller has given it up, or this client was closed. Resolves when that is over. */
  private undoLate<T>(
    work: Promise<T>,
    undo: (done: T) => Promise<unknown>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const late = async (done: T) => {
      if (signal?.aborted || this.http.life.aborted) await undo(done);
    };
    return this.http.cleanUp(work.then(late).catch(() => {}));
  }

  private unlessGivenUp<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return untilAborted(untilAborted(work, this.http.life), signal);
  }

  /** How an execution stands. `told`: what a stream said of its end, which the server may not have written down yet. */
  private async askExec(
    boxId: string,
    execId: string,
    signal?: AbortSignal,
    told?: { exitCode: number | null; error: string | null },
  ): Promise<Outcome> {
    const failedStart = this.failedStarts.get(boxId, execId);
    if (failedStart) return { info: failedStart };
    const call: Call = { params: at(boxId, execId), ...(signal && { signal }) };
    const askBox = () => this.http.json("getBox", wireBox, { ...call, params: at(boxId) });
    const asked = this.http.json("getExec", wireExec, call);
    const info = await asked.catch(async (error) => {
      // A server of the published API looks for no box here.
      if (isBoxRunError(error) && error.code === "EXEC_NOT_FOUND" && !isExtended(this.server)) await askBox();
      throw error;
    });
    if (info.status !== "running" || !told) return outcomeOf(info, askBox);
    const { exitCode, error: errorMessage } = told;
    const status = exitCode === 0 ? "succeeded" : "failed";
    return outcomeOf({ ...info, status, exitCode, errorMessage }, askBox);
  }

  private async isSettled(boxId: string, execId: string, signal?: AbortSignal): Promise<boolean> {
    const call = { params: at(boxId, execId), retries: 0, withinMs: SETTLE_MS, ...(signal && { signal }) };
    return (await this.http.json("getExec", wireExec, call)).status !== "running";
  }

  /** EXEC_ALREADY_FINISHED for a command that never began. */
  private requireStarted(boxId: string, execId: string): void {
    if (this.failedStarts.get(boxId, execId))
      throw new BoxRunError("EXEC_ALREADY_FINISHED", `${execId} has ended already (failed)`);
  }

  private async openEvents(
    boxId: string,
    execId: string,
    after: number,
    signal: AbortSignal | undefined,
  ): Promise<Incoming> {
    const query = {
      ...(this.capabilities.bytes === true && { bytes: "1" }),
      ...(this.capabilities.cursor === true && after > 0 && { after: String(after) }),
    };
    const { response, body } = await this.http.open("execEvents", {
      params: at(boxId, execId),
      query,
      withinMs: this.http.clocks.silenceMs,
      ...(signal && { signal }),
    });
    if (response.headers.get("content-type")?.startsWith("text/event-stream")) return body;
    const start = await body.read();
    void body.cancel();
    throw protocolError(
      `events of ${execId}: the server's answer is no event stream: ${excerptOf(new TextDecoder().decode(start))}`,
    );
  }

  private require(capability: keyof Capabilities): void {
    const reason = this.capabilities[capability];
    if (reason !== true) throw unsupported(reason);
  }
}

/** The parameters of a path. */
function at(box: string, exec?: string): RouteParams {
  requireBoxId(box);
  if (exec === undefined) return { box };
  if (!isSegment(exec))
    throw new BoxRunError("EXEC_NOT_FOUND", `there is no execution ${JSON.stringify(exec)}`);
  return { box, exec };
}

function requireBoxId(box: string): string {
  if (!isSegment(box)) throw new BoxRunError("BOX_NOT_FOUND", `there is no box ${JSON.stringify(box)}`);
  return box;
}

/** An empty segment, and one of dots however it is encoded, would be taken out of the URL: the request would be another. Half a surrogate pair cannot be encoded at all. */
function isSegment(value: string): boolean {
  return !/^\.{0,2}$|\p{Cs}/u.test(value);
}

function requireFilePath(path: string): void {
  if (path.startsWith("/") && !path.endsWith("/") && !path.includes("\0")) return;
  throw invalid(`the path ${JSON.stringify(path)} must be absolute, name a file, have no zero`);
}
