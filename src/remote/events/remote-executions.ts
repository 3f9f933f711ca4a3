import type {
  BackendEvent,
  BoxInfo,
  CallOptions,
  Capabilities,
  ExecInfo,
  ExecSpec,
} from "../../backend/backend.js";
import { BoxRunError, isBoxRunError } from "../../backend/errors.js";
import { newestFirst } from "../../backend/lists.js";
import { toExecRequest, wireBox, wireExec, wireExecs } from "../../contract/wire.js";
import { retryLater } from "../../util/retry-later.js";
import type { BodyReader } from "../http/body-reader.js";
import type { Call } from "../http/call.js";
import { isExtended, type ServerInfo } from "../http/capabilities.js";
import { excerptOf, protocolError } from "../http/failures.js";
import type { Http } from "../http/http.js";
import { at } from "../http/params.js";
import { CursorNumbering } from "./cursor-numbering.js";
import { type EventSource, followEvents } from "./events.js";
import type { Outcome } from "./exec-outcome.js";
import { ExecWaiter } from "./exec-waiter.js";
import type { PublishedRules } from "./published-rules.js";

/** Time in milliseconds that a server may take to store the end that it has just reported to a reader. */
const SETTLE_MS = 1000;

/** Starts, follows and ends commands in the boxes of a server. */
export class RemoteExecutions {
  private readonly waiter: ExecWaiter;
  private loading: Promise<PublishedRules> | undefined;
  private published: PublishedRules | undefined;

  constructor(
    private readonly http: Http,
    private readonly server: ServerInfo,
    private readonly capabilities: Capabilities,
  ) {
    this.waiter = new ExecWaiter({
      state: async (boxId, execId, signal) => {
        const { info, failure } = await this.ask(boxId, execId, signal);
        if (failure) throw failure;
        return info;
      },
    });
  }

  /** Starts a command. Resolves once it runs, or has ended because its program is not there or cannot be run. */
  async start(boxId: string, spec: ExecSpec): Promise<ExecInfo> {
    try {
      return await this.http.json("startExec", wireExec, { params: at(boxId), json: toExecRequest(spec) });
    } catch (error) {
      const rules = await this.rules();
      if (!rules?.isFailedStart(error)) throw error;
      const listed = this.http.json("listExecs", wireExecs, { params: at(boxId) }).catch(() => []);
      const { status } = await this.askBox(boxId);
      if (status !== "running")
        throw new BoxRunError("BOX_NOT_RUNNING", `box ${boxId} has status ${status}`, { cause: error });
      const info = rules.failedStarts.add(boxId, spec, error, await listed);
      if (!info) throw error;
      return info;
    }
  }

  /** Resolves to the state of an execution. */
  async get(boxId: string, execId: string, { signal }: CallOptions = {}): Promise<ExecInfo> {
    return (await this.ask(boxId, execId, signal)).info;
  }

  /** Resolves to the executions of a box, newest first. */
  async list(boxId: string, options: CallOptions = {}): Promise<ExecInfo[]> {
    const told = await this.http.json("listExecs", wireExecs, { ...options, params: at(boxId) });
    const rules = await this.rules();
    if (!rules) return newestFirst(told);
    let box: Promise<BoxInfo> | undefined;
    const askBox = () => {
      box ??= this.askBox(boxId, options.signal);
      return box;
    };
    const outcomes = await Promise.all(told.map((info) => rules.outcomeOf(info, askBox)));
    return newestFirst(
      rules.failedStarts.addTo(
        boxId,
        outcomes.map(({ info }) => info),
      ),
    );
  }

  /** Yields the events after a position, up to and including "exit". */
  async *events(
    boxId: string,
    execId: string,
    { after, signal }: { after: number; signal?: AbortSignal },
  ): AsyncGenerator<BackendEvent, void, undefined> {
    const rules = await this.rules();
    if (rules?.failedStarts.get(boxId, execId)) return yield* rules.failedStarts.events(execId, after);
    const what = `events of ${execId}`;
    const source: EventSource = {
      what,
      open: (seen) => this.openEvents(boxId, execId, seen, signal),
      state: (told) => this.ask(boxId, execId, signal, told),
      // A server of this project notifies its readers of the end.
      watchEnd: (onEnd) => (rules ? this.waiter.onCancel(execId, onEnd) : () => {}),
      backoffMs: (attempt) => this.http.backoffMs(attempt),
      ...(rules && { isSettled: () => this.isSettled(boxId, execId, signal) }),
      silenceMs: this.http.clocks.silenceMs,
    };
    const numbering = rules?.numbering(execId, after, what) ?? new CursorNumbering(after, what);
    for await (const event of followEvents(source, numbering, signal)) {
      if (event.type === "exit") this.waiter.wake(boxId, execId);
      yield event;
    }
  }

  /** Resolves to the final state. Rejects when there is no result, and with the signal's reason. */
  wait(boxId: string, execId: string, signal: AbortSignal | undefined): Promise<ExecInfo> {
    return this.waiter.wait(boxId, execId, signal);
  }

  /** Ends the execution, and its readers in this client. */
  async cancel(boxId: string, execId: string): Promise<ExecInfo> {
    // Not awaited: this client may be closing, and the request has to be sent before that.
    if (this.published?.failedStarts.get(boxId, execId))
      throw new BoxRunError("EXEC_ALREADY_FINISHED", `${execId} has already ended (failed)`);
    const params = at(boxId, execId);
    const withinMs = this.http.clocks.lifecycleMs;
    const canceled = this.http.json("cancelExec", wireExec, { params, withinMs, outlives: true });
    const info = await this.http.cleanUp(canceled);
    this.waiter.canceled(boxId, execId);
    const rules = await this.rules();
    return rules ? (await rules.outcomeOf(info, () => this.askBox(boxId))).info : info;
  }

  /** Resolves to the state of an execution. `told` is the end as a stream reported it, which the server may not have stored yet. */
  private async ask(
    boxId: string,
    execId: string,
    signal?: AbortSignal,
    told?: { exitCode: number | null; error: string | null },
  ): Promise<Outcome> {
    const rules = await this.rules();
    const failedStart = rules?.failedStarts.get(boxId, execId);
    if (failedStart) return { info: failedStart };
    const call: Call = { params: at(boxId, execId), ...(signal && { signal }) };
    const askBox = () => this.askBox(boxId, signal);
    const asked = this.http.json("getExec", wireExec, call);
    const info = await asked.catch(async (error) => {
      // A server of the published API does not check for the box here.
      if (isBoxRunError(error) && error.code === "EXEC_NOT_FOUND" && rules) await askBox();
      throw error;
    });
    if (!rules) return { info };
    if (info.status !== "running" || !told) return rules.outcomeOf(info, askBox);
    const { exitCode, error: errorMessage } = told;
    const status = exitCode === 0 ? "succeeded" : "failed";
    return rules.outcomeOf({ ...info, status, exitCode, errorMessage }, askBox);
  }

  /** Loads the rules for published servers. Undefined for a server of this project, unless it passes requests on to a published server. */
  private async rules(): Promise<PublishedRules | undefined> {
    if (isExtended(this.server) && this.capabilities.cursor === true) return undefined;
    this.loading ??= retryLater(
      import("./published-rules.js").then(({ PublishedRules }) => {
        this.published = new PublishedRules();
        return this.published;
      }),
      () => {
        this.loading = undefined;
      },
    );
    return this.loading;
  }

  private async isSettled(boxId: string, execId: string, signal?: AbortSignal): Promise<boolean> {
    const call = { params: at(boxId, execId), retries: 0, withinMs: SETTLE_MS, ...(signal && { signal }) };
    return (await this.http.json("getExec", wireExec, call)).status !== "running";
  }

  private askBox(boxId: string, signal?: AbortSignal): Promise<BoxInfo> {
    return this.http.json("getBox", wireBox, { params: at(boxId), ...(signal && { signal }) });
  }

  private async openEvents(
    boxId: string,
    execId: string,
    after: number,
    signal: AbortSignal | undefined,
  ): Promise<BodyReader> {
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
      `events of ${execId}: the server's answer is not an event stream: ${excerptOf(new TextDecoder().decode(start))}`,
    );
  }
}
