import type {
  Backend,
  BackendEvent,
  BackendNetwork,
  BackendPorts,
  BoxInfo,
  BoxSpec,
  BoxStatus,
  BoxUsage,
  Capabilities,
  DownloadResult,
  ExecInfo,
  ExecSpec,
  FileChange,
  FileEntry,
  FileOperation,
  ImageInfo,
  Terminal,
  TerminalSpec,
  UploadSpec,
} from "../backend/backend.js";
import { BoxRunError, invalid } from "../backend/errors.js";
import { inStatus, newestFirst } from "../backend/lists.js";
import { requireFilePath } from "../backend/transfers.js";
import { DEFAULT_FILE_MODE } from "../contract/schemas.js";
import { requireRules, withoutNetwork } from "../network/rules.js";
import { whenAborted } from "../util/abort.js";
import { newId } from "../util/ids.js";
import { FakeExecution, type FakeFiles, type FakeProgram } from "./fake-execution.js";
import { FakeTree, refusal } from "./fake-files.js";
import { FakePorts, type FakeServers } from "./fake-ports.js";
import { PROGRAMS } from "./fake-programs.js";
import { FakeTerminal } from "./fake-terminal.js";
import { WatchedFiles } from "./fake-watches.js";

/** Options of {@link FakeBackend}. */
export interface FakeOptions {
  /**
   * Programs by the name that a command begins with. They are added to "true", "false", "echo", "cat", "sleep" (in seconds) and "sh", which runs the words of
   * its script as one command, and may replace them. Any other command exits with 127.
   * @default none beside those
   */
  programs?: Readonly<Record<string, FakeProgram>>;
  /**
   * Servers of every running box, by their ports: for `box.connect`, `box.fetch` and the rest of them.
   * @default none, and no capability "ports"
   */
  servers?: FakeServers;
}

interface FakeBox {
  info: BoxInfo;
  files: FakeFiles;
  tree: FakeTree;
  execs: Map<string, FakeExecution>;
  terminals: Set<FakeTerminal>;
}

/**
 * A backend whose boxes have no machines, for tests of programs that use BoxRun. Boxes keep files in memory, and their programs are functions. With
 * `createHandler` it is a whole server in the process of the test. Those methods of `box.files` that run commands in the box (`copy`, `pack`, `unpack`,
 * `remove` with `recursive`) do not work, since there is no real shell.
 *
 * @example
 * const backend = new FakeBackend({ programs: { python3: ({ cmd, write }) => write(`ran ${cmd[1]}\n`) } });
 * const client = new BoxRunClient({ baseUrl: "http://boxrun.internal", fetch: createHandler(backend) });
 */
export class FakeBackend implements Backend {
  readonly capabilities: Capabilities = {
    bytes: true,
    cursor: true,
    stdin: true,
    signal: true,
    network: true,
    secrets: "programs that are functions connect to nothing",
    volumes: true,
    attach: true,
    persistence: "a fake keeps nothing",
    usage: true,
    pull: true,
    files: true,
    watch: true,
    stderr: true,
  };
  /** Rules are kept, and logs are empty: programs that are functions connect to nothing. */
  readonly network: BackendNetwork = {
    update: async (boxId, network) => {
      const { info } = this.running(boxId);
      if (info.network === false) throw withoutNetwork(boxId);
      requireRules(network);
      info.network = structuredClone(network);
      return structuredClone(info);
    },
    log: async (boxId) => {
      this.running(boxId);
      return [];
    },
  };
  /** Connections to the servers of the option `servers`. */
  readonly ports?: BackendPorts;
  private readonly boxes = new Map<string, FakeBox>();
  private readonly connections: FakePorts | undefined;
  private readonly programs: Readonly<Record<string, FakeProgram>>;
  private closed = false;

  /** Creates a backend without boxes. */
  constructor({ programs = {}, servers }: FakeOptions = {}) {
    this.programs = { ...PROGRAMS, ...programs };
    if (!servers) return;
    this.connections = new FakePorts(servers, (boxId) => this.running(boxId).info.id);
    this.ports = this.connections;
    this.capabilities = { ...this.capabilities, ports: true };
  }

  async info() {
    const { capabilities } = this;
    return {
      backend: "fake",
      description: "boxes without machines",
      maxCpu: 64,
      maxMemoryMb: 65_536,
      capabilities,
    };
  }

  async images(): Promise<ImageInfo[]> {
    return [
      {
        name: "fake",
        aliases: [],
        description: "programs that are functions",
        downloadBytes: 0,
        totalBytes: 0,
      },
    ];
  }

  async pullImage(): Promise<void> {}

  async createBox(spec: BoxSpec, { signal }: { signal?: AbortSignal } = {}): Promise<BoxInfo> {
    this.requireOpen();
    signal?.throwIfAborted();
    if ([...this.boxes.values()].some(({ info }) => spec.name !== null && info.name === spec.name)) {
      throw new BoxRunError("NAME_ALREADY_EXISTS", `a box named ${JSON.stringify(spec.name)} already exists`);
    }
    const now = new Date();
    const info: BoxInfo = {
      ...structuredClone(spec),
      id: newId("box"),
      status: "running",
      errorCode: null,
      errorMessage: null,
      createdAt: now,
      startedAt: now,
      stoppedAt: null,
    };
    const files = new WatchedFiles();
    const tree = new FakeTree(files, now);
    this.boxes.set(info.id, { info, files, tree, execs: new Map(), terminals: new Set() });
    return { ...info };
  }

  async getBox(idOrName: string): Promise<BoxInfo> {
    return { ...this.box(idOrName).info };
  }

  async listBoxes({ status }: { status?: BoxStatus | "all" }): Promise<BoxInfo[]> {
    this.requireOpen();
    const all = [...this.boxes.values()].map(({ info }) => ({ ...info }));
    return inStatus(newestFirst(all), status);
  }

  async stopBox(id: string): Promise<BoxInfo> {
    const box = this.running(id);
    await this.endAll(box);
    return { ...Object.assign(box.info, { status: "stopped", stoppedAt: new Date() }) };
  }

  async startBox(id: string): Promise<BoxInfo> {
    const { info } = this.box(id);
    if (info.status === "running")
      throw new BoxRunError("BOX_ALREADY_RUNNING", `box ${id} is already running`);
    return { ...Object.assign(info, { status: "running", startedAt: new Date(), stoppedAt: null }) };
  }

  async removeBox(id: string, { force }: { force: boolean }): Promise<void> {
    const box = this.box(id);
    if (box.info.status === "running" && !force) {
      throw new BoxRunError(
        "BOX_ALREADY_RUNNING",
        `box ${id} is running: stop it first, or remove it with { force: true }`,
      );
    }
    this.boxes.delete(box.info.id);
    await this.endAll(box, true);
  }

  async gc({ olderThan }: { olderThan: number }): Promise<number> {
    const limit = Date.now() - olderThan * 1000;
    const old = [...this.boxes.values()].filter(
      ({ info }) => info.status === "stopped" && (info.stoppedAt as Date).getTime() <= limit,
    );
    for (const { info } of old) this.boxes.delete(info.id);
    return old.length;
  }

  async usage(id: string): Promise<BoxUsage> {
    const { files, info } = this.box(id);
    const diskBytes = [...files.values()].reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    return { diskBytes, diskLimitBytes: info.diskSizeGb * 2 ** 30, persistent: false };
  }

  async startExec(boxId: string, spec: ExecSpec): Promise<ExecInfo> {
    const { info, files, execs } = this.running(boxId);
    const execution = new FakeExecution(info, spec, files, (cmd) => this.program(cmd));
    execs.set(execution.info.id, execution);
    return { ...execution.info };
  }

  async getExec(boxId: string, execId: string): Promise<ExecInfo> {
    return { ...this.exec(boxId, execId).info };
  }

  async listExecs(boxId: string): Promise<ExecInfo[]> {
    return newestFirst([...this.box(boxId).execs.values()].map(({ info }) => ({ ...info })));
  }

  async *execEvents(
    boxId: string,
    execId: string,
    options: { after: number; signal?: AbortSignal },
  ): AsyncGenerator<BackendEvent, void, undefined> {
    yield* this.exec(boxId, execId).events(options);
  }

  waitExec(boxId: string, execId: string, { signal }: { signal?: AbortSignal }): Promise<ExecInfo> {
    return this.exec(boxId, execId).wait(signal);
  }

  async cancelExec(boxId: string, execId: string): Promise<ExecInfo> {
    const execution = this.unfinished(boxId, execId);
    execution.end("canceled", null);
    return { ...execution.info };
  }

  async signalExec(boxId: string, execId: string, signal: string): Promise<void> {
    this.unfinished(boxId, execId).signal(signal);
  }

  async writeStdin(boxId: string, execId: string, chunk: Uint8Array): Promise<void> {
    await this.unfinished(boxId, execId).write(chunk);
  }

  async closeStdin(boxId: string, execId: string): Promise<void> {
    this.exec(boxId, execId).closeStdin();
  }

  async attach(
    boxId: string,
    spec: TerminalSpec,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Terminal> {
    const { info, files, terminals } = this.running(boxId);
    signal?.throwIfAborted();
    const terminal = new FakeTerminal(info, spec, files, (cmd) => this.program(cmd));
    terminals.add(terminal);
    const ignoreSignal = whenAborted(signal, (reason) => terminal.fail(reason));
    const forget = () => {
      terminals.delete(terminal);
      ignoreSignal();
    };
    terminal.exited.then(forget, forget);
    return terminal;
  }

  /** Number of connections to servers that have not ended. */
  get openConnections(): number {
    return this.connections?.count ?? 0;
  }

  /** Number of terminals that have not ended. */
  get openTerminals(): number {
    return [...this.boxes.values()].reduce((sum, { terminals }) => sum + terminals.size, 0);
  }

  async upload(
    boxId: string,
    path: string,
    body: ReadableStream<Uint8Array>,
    { mode, newMode = DEFAULT_FILE_MODE }: UploadSpec,
  ): Promise<void> {
    const { tree, files } = this.running(boxId);
    requireFilePath(path);
    const bytes = new Uint8Array(await new Response(body).arrayBuffer());
    tree.write(path, bytes, mode ?? files.get(path)?.mode ?? newMode);
  }

  async download(boxId: string, path: string): Promise<DownloadResult> {
    const { files } = this.running(boxId);
    requireFilePath(path);
    const file = files.get(path);
    if (!file) throw refusal("download of", path, "ENOENT");
    const stream = new Blob([file.bytes as Uint8Array<ArrayBuffer>]).stream();
    return { size: file.bytes.byteLength, mode: file.mode, stream: stream as ReadableStream<Uint8Array> };
  }

  async fileOperation(
    boxId: string,
    operation: FileOperation,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<FileEntry[]> {
    signal?.throwIfAborted();
    return this.running(boxId).tree.operate(operation);
  }

  async watchFiles(
    boxId: string,
    path: Uint8Array,
    options: { recursive: boolean; signal?: AbortSignal },
  ): Promise<AsyncIterable<FileChange>> {
    return this.running(boxId).tree.watch(path, options);
  }

  /** Number of watches of files that have not ended. */
  get openWatches(): number {
    return [...this.boxes.values()].reduce((sum, { tree }) => sum + tree.openWatches, 0);
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const box of this.boxes.values()) await this.endAll(box);
  }

  private program(cmd: readonly string[]): FakeProgram | undefined {
    const name = cmd[0]?.split("/").at(-1) ?? "";
    return Object.hasOwn(this.programs, name) ? this.programs[name] : undefined;
  }

  private requireOpen(): void {
    if (this.closed) throw invalid("this backend was closed");
  }

  private box(idOrName: string): FakeBox {
    this.requireOpen();
    const found = [...this.boxes.values()].find(({ info }) => info.id === idOrName || info.name === idOrName);
    if (!found) throw new BoxRunError("BOX_NOT_FOUND", `there is no box ${idOrName}`);
    return found;
  }

  private running(id: string): FakeBox {
    const box = this.box(id);
    if (box.info.status !== "running") throw new BoxRunError("BOX_NOT_RUNNING", `box ${id} is stopped`);
    return box;
  }

  private exec(boxId: string, execId: string): FakeExecution {
    const found = this.box(boxId).execs.get(execId);
    if (!found) throw new BoxRunError("EXEC_NOT_FOUND", `there is no execution ${execId} in ${boxId}`);
    return found;
  }

  private unfinished(boxId: string, execId: string): FakeExecution {
    const execution = this.exec(boxId, execId);
    if (execution.info.status === "running") return execution;
    throw new BoxRunError("EXEC_ALREADY_FINISHED", `${execId} has ended`);
  }

  private async endAll({ info, execs, terminals, tree }: FakeBox, isRemoved = false): Promise<void> {
    this.connections?.endAll(info.id);
    tree.endWatches(
      isRemoved
        ? new BoxRunError("BOX_NOT_FOUND", `box ${info.id} was removed`)
        : new BoxRunError("BOX_NOT_RUNNING", `box ${info.id} was stopped`),
    );
    for (const execution of execs.values()) execution.end("canceled", null);
    await Promise.all([...terminals].map((terminal) => terminal.close()));
  }
}
