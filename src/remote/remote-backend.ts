import type {
  Backend,
  BackendEvent,
  BackendInfo,
  BackendNetwork,
  BackendPorts,
  BoxInfo,
  BoxSpec,
  BoxStatus,
  BoxUsage,
  CallOptions,
  Capabilities,
  Capability,
  DownloadResult,
  ExecInfo,
  ExecSpec,
  FileChange,
  FileEntry,
  FileOperation,
  ImageInfo,
  LaunchOptions,
  Terminal,
  TerminalSpec,
  UploadSpec,
} from "../backend/backend.js";
import { requireCapability } from "../backend/capabilities.js";
import { BoxRunError, invalid, unsupported } from "../backend/errors.js";
import { inStatus, newestFirst, requireStatus } from "../backend/lists.js";
import { requireFilePath } from "../backend/transfers.js";
import {
  toCreateRequest,
  wireBox,
  wireBoxes,
  wireDone,
  wireImages,
  wirePorts,
  wireRemoved,
  wireUsage,
} from "../contract/wire.js";
import { untilAborted } from "../util/abort.js";
import { RemoteExecutions } from "./events/remote-executions.js";
import type { Call } from "./http/call.js";
import { capabilitiesOf, isExtended, type ServerInfo } from "./http/capabilities.js";
import type { Http } from "./http/http.js";
import { at, requireBoxId } from "./http/params.js";

/** A backend whose boxes are on a BoxRun server. It uses extensions only if the server has announced them. */
export class RemoteBackend implements Backend {
  readonly capabilities: Capabilities;
  readonly ports: BackendPorts = {
    list: async (boxId, options = {}) => {
      this.require("ports");
      return this.http.json("listPorts", wirePorts, { ...options, params: at(boxId) });
    },
    connect: async (boxId, port, { signal } = {}) => {
      this.require("ports");
      const { connectPort } = await import("./connect-port.js");
      return connectPort(this.http, requireBoxId(boxId), port, signal);
    },
    preview: async (boxId, port) => {
      this.require("ports");
      const { openPreview } = await import("./preview.js");
      return openPreview(this.http, boxId, port);
    },
  };
  readonly network: BackendNetwork = {
    update: async (boxId, network, options = {}) => {
      this.requireRules();
      return this.http.json("updateNetwork", wireBox, { ...options, params: at(boxId), json: { network } });
    },
    log: async (boxId, options = {}) => {
      this.requireRules();
      const { wireNetworkLog } = await import("../contract/wire-network.js");
      return this.http.json("networkLog", wireNetworkLog, { ...options, params: at(boxId) });
    },
  };
  private readonly executions: RemoteExecutions;
  /** Boxes whose start was given up, with the requests that stop them again. */
  private readonly stopping = new Map<string, Promise<void>>();

  constructor(
    private readonly http: Http,
    private readonly server: ServerInfo,
  ) {
    http.extended = isExtended(server);
    this.capabilities = capabilitiesOf(server);
    this.executions = new RemoteExecutions(http, server, this.capabilities);
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

  async images(options: CallOptions = {}): Promise<ImageInfo[]> {
    if (!this.server.capabilities.includes("images")) {
      throw unsupported(
        "this server does not list its images",
        'any image reference may work, and "default", "ubuntu", "python", "node", "golang", "rust" and "alpine" are aliases',
      );
    }
    return this.http.json("images", wireImages, options);
  }

  async pullImage(): Promise<void> {
    this.require("pull", "create a box from the image");
  }

  async createBox(spec: BoxSpec, { signal, secrets, volumes }: LaunchOptions): Promise<BoxInfo> {
    signal?.throwIfAborted();
    requireNoSources(volumes);
    if (secrets) this.requireSecrets();
    if (typeof spec.network === "object") this.requireRules();
    const withinMs = this.http.clocks.lifecycleMs;
    const json = { ...toCreateRequest(spec), ...(secrets && { secrets }) };
    const call: Call = { json, withinMs, outlives: true };
    // The request is never aborted: the server may have created the box, and nobody would know its id. The answer is awaited, and the box removed.
    const created = this.http.json("createBox", wireBox, call);
    this.undoLate(created, ({ id }) => this.removeBox(id, { force: true }, "late"), signal);
    return this.unlessGivenUp(created, signal);
  }

  async getBox(idOrName: string, options: CallOptions = {}): Promise<BoxInfo> {
    return this.http.json("getBox", wireBox, { ...options, params: at(idOrName) });
  }

  async listBoxes({ status }: { status?: BoxStatus | "all" }, options: CallOptions = {}): Promise<BoxInfo[]> {
    requireStatus(status);
    const query = status !== undefined && { query: { status } };
    const boxes = await this.http.json("listBoxes", wireBoxes, { ...options, ...query });
    // The published API only knows "running", "stopped" and "all" here.
    return newestFirst(inStatus(boxes, status));
  }

  async stopBox(id: string, outlives?: "late"): Promise<BoxInfo> {
    const withinMs = this.http.clocks.lifecycleMs;
    return this.http.json("stopBox", wireBox, { params: at(id), withinMs, ...(outlives && { outlives }) });
  }

  async startBox(id: string, { signal, secrets, volumes }: LaunchOptions): Promise<BoxInfo> {
    signal?.throwIfAborted();
    requireNoSources(volumes);
    if (secrets) this.requireSecrets();
    const withinMs = this.http.clocks.lifecycleMs;
    const call: Call = { params: at(id), withinMs, outlives: true, ...(secrets && { json: { secrets } }) };
    // The server may start it all the same. Then it is stopped again, and a new start waits for that.
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

  async usage(id: string, options: CallOptions = {}): Promise<BoxUsage> {
    this.require("usage");
    return this.http.json("usage", wireUsage, { ...options, params: at(id) });
  }

  async startExec(boxId: string, spec: ExecSpec): Promise<ExecInfo> {
    if (spec.stdin) this.require("stdin");
    if (spec.stderr) this.require("stderr");
    return this.executions.start(boxId, spec);
  }

  async getExec(boxId: string, execId: string, options: CallOptions = {}): Promise<ExecInfo> {
    return this.executions.get(boxId, execId, options);
  }

  async listExecs(boxId: string, options: CallOptions = {}): Promise<ExecInfo[]> {
    return this.executions.list(boxId, options);
  }

  execEvents(
    boxId: string,
    execId: string,
    options: { after: number; signal?: AbortSignal },
  ): AsyncGenerator<BackendEvent, void, undefined> {
    return this.executions.events(boxId, execId, options);
  }

  async waitExec(boxId: string, execId: string, { signal }: { signal?: AbortSignal }): Promise<ExecInfo> {
    return this.executions.wait(boxId, execId, signal);
  }

  async cancelExec(boxId: string, execId: string): Promise<ExecInfo> {
    return this.executions.cancel(boxId, execId);
  }

  async signalExec(boxId: string, execId: string, signal: string): Promise<void> {
    this.require("signal");
    await this.http.json("signalExec", wireDone, { params: at(boxId, execId), json: { signal } });
  }

  async writeStdin(boxId: string, execId: string, chunk: Uint8Array): Promise<void> {
    const { writeStdin } = await import("./transfer/stdin.js");
    return writeStdin(this.http, at(boxId, execId), chunk);
  }

  async closeStdin(boxId: string, execId: string): Promise<void> {
    const { closeStdin } = await import("./transfer/stdin.js");
    return closeStdin(this.http, at(boxId, execId));
  }

  async attach(boxId: string, spec: TerminalSpec, { signal }: { signal?: AbortSignal }): Promise<Terminal> {
    this.require("attach");
    // A WebSocket does not report why it was refused.
    const { status } = await this.getBox(boxId);
    if (status !== "running")
      throw new BoxRunError("BOX_NOT_RUNNING", `box ${boxId} has status ${status} (start it first)`);
    const isAlive = () => this.getBox(boxId);
    const { attach } = await import("./terminal.js");
    return attach(this.http, boxId, spec, { isAlive, ...(signal && { signal }) });
  }

  async upload(
    boxId: string,
    path: string,
    body: ReadableStream<Uint8Array>,
    options: UploadSpec,
  ): Promise<void> {
    requireFilePath(path);
    requireBoxId(boxId);
    if (this.http.extended) {
      const { upload } = await import("./transfer/upload.js");
      return upload(this.http, boxId, path, body, options);
    }
    const { uploadPlain } = await import("./transfer/upload-plain.js");
    return uploadPlain(this.http, boxId, path, body, options, {
      startExec: (spec) => this.startExec(boxId, spec),
      waitExec: (execId, signal) => this.executions.wait(boxId, execId, signal),
      cancelExec: (execId) => this.executions.cancel(boxId, execId),
    });
  }

  async download(boxId: string, path: string, { signal }: { signal?: AbortSignal }): Promise<DownloadResult> {
    requireFilePath(path);
    const { download } = await import("./transfer/download.js");
    return download(this.http, requireBoxId(boxId), path, signal);
  }

  async fileOperation(
    boxId: string,
    operation: FileOperation,
    options: { signal?: AbortSignal },
  ): Promise<FileEntry[]> {
    this.require("files");
    const params = at(boxId);
    return (await import("./transfer/file-operation.js")).fileOperation(
      this.http,
      params,
      operation,
      options,
    );
  }

  async watchFiles(
    boxId: string,
    path: Uint8Array,
    options: { recursive: boolean; signal?: AbortSignal },
  ): Promise<AsyncIterable<FileChange>> {
    this.require("watch");
    const { watchFiles } = await import("./events/watch.js");
    return watchFiles({ http: this.http, params: at(boxId), path, ...options });
  }

  /** Closes the connections. The boxes belong to the server and go on. */
  close(): Promise<void> {
    return this.http.close();
  }

  /** Undoes work that finishes after its caller has given it up, or this client was closed. Resolves when that is over. */
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

  /** Checks that the server knows rules. What it says to a network without any is its own word. */
  private requireRules(): void {
    if (!this.http.extended)
      throw unsupported("network: this server has no rules for it", "use network: true");
  }

  /** Checks that secrets may be sent to the server, and that it knows what they are. */
  private requireSecrets(): void {
    this.require("secrets");
    if (!this.http.isPrivate)
      throw invalid(
        `secrets are not sent to ${this.http.name}: others could read them on the way`,
        "use https, or a server on this machine",
      );
  }

  private require(capability: Capability, hint?: string): void {
    requireCapability(this.capabilities, capability, hint);
  }
}

/** Checks that no volume is in the memory of this process or a folder of its page, which no server reaches. @throws {BoxRunError} UNSUPPORTED */
function requireNoSources(volumes: LaunchOptions["volumes"]): void {
  if (volumes?.length)
    throw unsupported(
      "volumes: a server mounts neither memory nor folders of its clients",
      "use upload, or box.files",
    );
}
