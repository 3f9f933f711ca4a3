import type { ExecInfo, ExecSpec } from "../../backend/backend.js";
import { newId } from "../../util/ids.js";
import type { Guest } from "../guest/guest.js";
import type { BoxStore } from "../store/box-store.js";
import { HISTORY_LIMIT } from "../store/history.js";
import { HistoryWriter } from "../store/history-writer.js";
import type { BoxRecord } from "../store/record.js";
import { requireCommandSize } from "./command-size.js";
import { LocalExecution } from "./local-execution.js";

/** Limit of the logs of all commands of a running box: several times that of one. */
const LOGS_BYTES = 64 * 2 ** 20;
/** Bytes that each log may keep however full the others are, so that no short command loses its output to long ones. */
const LOG_MINIMUM_BYTES = 256 * 2 ** 10;

/** Environment of every command, as the BoxRun API documents it. The box's own variables and those of the command come on top. */
export const BASE_ENV = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  USER: "root",
  LANG: "C.UTF-8",
};

/** The commands of one run of a box, finished ones included: the last thousand, with as much of their output as there is room for. */
export class BoxExecutions {
  private readonly known = new Map<string, LocalExecution>();
  private readonly history: HistoryWriter;
  private readonly starting = new Set<LocalExecution>();
  private logBytes = 0;

  /** `onStuck`: see {@link LocalExecution}. */
  constructor(
    private readonly record: BoxRecord,
    /** Returns the environment of every command. */
    private readonly env: () => Record<string, string>,
    private readonly guest: Guest,
    store: BoxStore,
    private readonly logLimitBytes: number,
    private readonly onStuck: (what: string) => void,
  ) {
    this.history = new HistoryWriter(store, record.id, record.made);
  }

  /** Starts a command. Resolves once it runs, or has ended because its program cannot be found. */
  async start(spec: ExecSpec): Promise<ExecInfo> {
    const workdir = spec.workdir ?? this.record.spec.workdir;
    const env = { ...this.env(), ...spec.env };
    requireCommandSize(spec.cmd, env);
    const execution: LocalExecution = new LocalExecution(
      {
        id: newId("exec"),
        boxId: this.record.id,
        status: "running",
        cmd: [...spec.cmd],
        env: spec.env,
        workdir,
        timeoutMs: spec.timeoutMs,
        exitCode: null,
        errorMessage: null,
        createdAt: new Date(),
        finishedAt: null,
      },
      this.guest,
      { ...spec, workdir, env },
      (bytes) => this.takeRoom(execution, bytes),
      {
        memoryMb: this.record.spec.memoryMb,
        onStuck: this.onStuck,
        onFinished: () => {
          if (this.known.has(execution.id)) this.remember(execution);
        },
      },
    );
    this.starting.add(execution);
    await execution.started().finally(() => this.starting.delete(execution));
    this.known.set(execution.id, execution);
    this.remember(execution);
    if (this.known.size > HISTORY_LIMIT) this.forgetOldest(() => this.known.size > HISTORY_LIMIT);
    return execution.info;
  }

  get(execId: string): LocalExecution | undefined {
    return this.known.get(execId);
  }

  list(): ExecInfo[] {
    return [...this.known.values()].map((execution) => execution.info);
  }

  /** Notes that the box is being stopped: commands that end from now on count as canceled. */
  expectEnd(message: string): void {
    for (const execution of [...this.starting, ...this.known.values()]) execution.expectEnd(message);
  }

  /** Resolves when the history is written, as far as it can be. */
  flush(): Promise<void> {
    return this.history.flush();
  }

  private remember(execution: LocalExecution): void {
    this.history.add(execution.id, execution.entry);
  }

  private takeRoom({ logBytes }: LocalExecution, bytes: number): boolean {
    const wanted = logBytes + bytes;
    if (wanted > this.logLimitBytes) return false;
    const isFull = () => this.logBytes + bytes > LOGS_BYTES;
    if (isFull()) this.forgetOldest(isFull);
    if (isFull() && wanted > LOG_MINIMUM_BYTES) return false;
    this.logBytes += bytes;
    return true;
  }

  /** Forgets finished commands until there is room. */
  private forgetOldest(must: () => boolean): void {
    for (const [id, execution] of this.known) {
      if (!must()) return;
      if (!execution.isFinished) continue;
      this.logBytes -= execution.logBytes;
      this.known.delete(id);
    }
  }
}
