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
  Capabilities,
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
  TransferProgress,
  UploadSpec,
} from "../../backend/backend.js";
import { requireCapability } from "../../backend/capabilities.js";
import { BoxRunError, invalid, isBoxRunError } from "../../backend/errors.js";
import { inStatus, newestFirst } from "../../backend/lists.js";
import { requireLocalOptions } from "../../backend/validate.js";
import { parseRules, requireRules } from "../../network/rules.js";
import { untilAborted } from "../../util/abort.js";
import { retryLater } from "../../util/retry-later.js";
import type { ChosenWayOut, Host } from "../host/host.js";
import { decodeEntries, type FinishedExecution, HISTORY_LIMIT } from "../store/history.js";
import type { BoxRecord } from "../store/record.js";
import { memoryStore } from "../store/store-memory.js";
import { downloadFile, operateOnFiles, uploadFile } from "./box-files.js";
import { BoxLauncher } from "./box-launcher.js";
import { BoxRegistry } from "./box-registry.js";
import { requireSources } from "./box-sources.js";
import { requireDirectories, volumeMounts } from "./box-volumes.js";
import { watchFiles } from "./box-watch.js";
import { capabilitiesOf, MAX_CPU, requireBuildable } from "./capabilities.js";
import { ImageCatalog } from "./image-catalog.js";
import type { LocalBox } from "./local-box.js";
import type { LocalExecution } from "./local-execution.js";
import type { LocalOptions } from "./options.js";
import { chooseWayOut } from "./way-out.js";

/** A command of this run of its box, or of an earlier one. */
interface KnownExecution extends FinishedExecution {
  box: LocalBox | undefined;
  live: LocalExecution | undefined;
}

/** A backend whose boxes run here, each an emulated machine in a Worker of its own. */
export class LocalBackend implements Backend {
  readonly capabilities: Capabilities;
  readonly keepsTimeLimits = true;
  readonly ports: BackendPorts;
  readonly network: BackendNetwork = {
    update: async (boxId, network) => {
      requireRules(network);
      requireCapability(this.capabilities, "network");
      const box = await this.box(boxId);
      await box.updateNetwork(network);
      return box.info;
    },
    log: async (boxId) => {
      requireCapability(this.capabilities, "network");
      return (await this.box(boxId)).networkLog();
    },
  };
  private registry: Promise<BoxRegistry> | undefined;
  private readonly catalog: ImageCatalog;
  private readonly launcher: BoxLauncher;
  private readonly wayOut: ChosenWayOut;
  private closed = false;
  private stopWatching: (() => void) | undefined;

  constructor(
    private readonly host: Host,
    private readonly options: LocalOptions,
  ) {
    requireLocalOptions(options);
    if (typeof options.network === "object") parseRules(options.network, "local.network");
    const { previewUrl } = options;
    const { openPreview } = host;
    const connect: BackendPorts["connect"] = async (boxId, port, { signal } = {}) =>
      (await this.box(boxId)).connect(port, signal);
    this.ports = {
      list: async (boxId, { signal } = {}) => (await this.box(boxId)).listPorts(signal),
      connect,
      ...(openPreview &&
        previewUrl !== undefined && {
          preview: async (boxId, port) => {
            await this.box(boxId);
            return openPreview((call) => connect(boxId, port, call), port, previewUrl);
          },
        }),
    };
    this.wayOut = chooseWayOut(options, host);
    this.capabilities = capabilitiesOf(options, host, this.wayOut);
    this.catalog = new ImageCatalog(host, options);
    this.launcher = new BoxLauncher(host, this.catalog, options, this.wayOut, () => this.requireOpen());
  }

  async info(): Promise<BackendInfo> {
    return {
      backend: "local",
      description: `a machine emulated by v86 in ${this.host.description}`,
      maxCpu: MAX_CPU,
      maxMemoryMb: this.launcher.memoryMb,
      capabilities: this.capabilities,
      ...("name" in this.wayOut && { wayOut: this.wayOut.name }),
    };
  }

  images(): Promise<ImageInfo[]> {
    return this.catalog.list();
  }

  async pullImage(
    name: string,
    options: { signal?: AbortSignal; onProgress?: (progress: TransferProgress) => void },
  ): Promise<void> {
    this.requireOpen();
    return this.catalog.pull(name, options);
  }

  async createBox(spec: BoxSpec, options: LaunchOptions): Promise<BoxInfo> {
    this.requireOpen();
    requireBuildable(spec, options.secrets, this.capabilities);
    const mounts = volumeMounts(spec.volumes, this.options.volumes);
    await requireDirectories(this.host, mounts, this.options.volumes);
    await requireSources(this.host, mounts, options.volumes);
    options.signal?.throwIfAborted();
    return this.launcher.create(await this.openRegistry(), spec, options);
  }

  async startBox(id: string, options: LaunchOptions): Promise<BoxInfo> {
    this.requireOpen();
    options.signal?.throwIfAborted();
    const registry = await this.openRegistry();
    return this.launcher.start(registry, await registry.resolve(id), options);
  }

  async stopBox(id: string): Promise<BoxInfo> {
    this.requireOpen();
    const registry = await this.openRegistry();
    const box = await this.box(id, "it has nothing to stop");
    await box.stop();
    return registry.info(box.id);
  }

  async getBox(idOrName: string): Promise<BoxInfo> {
    this.requireOpen();
    return (await this.openRegistry()).info(idOrName);
  }

  async listBoxes({ status }: { status?: BoxStatus | "all" }): Promise<BoxInfo[]> {
    this.requireOpen();
    return inStatus(await (await this.openRegistry()).list(), status);
  }

  async watchBoxes(onChange: () => void): Promise<() => void> {
    this.requireOpen();
    return (await this.openRegistry()).watch(onChange);
  }

  /** Works after `close`, too: whoever created a box may remove it at any time. */
  async removeBox(id: string, { force }: { force: boolean }): Promise<void> {
    const registry = await this.openRegistry();
    const boxId = await registry.resolve(id);
    const box = registry.running.get(boxId);
    if (!box) return void (await registry.remove(boxId));
    if (!force && !box.ended) {
      throw new BoxRunError("BOX_ALREADY_RUNNING", `box ${boxId} is running`, {
        hint: "remove it with { force: true }",
      });
    }
    await box.remove();
    // If the box was being stopped meanwhile, its files still exist.
    if ((await registry.store.readRecord(boxId)) !== undefined) await registry.remove(boxId);
  }

  async gc({ olderThan }: { olderThan: number }): Promise<number> {
    this.requireOpen();
    const registry = await this.openRegistry();
    const limit = Date.now() - olderThan * 1000;
    const isOld = (stoppedAt: Date | null) => stoppedAt !== null && stoppedAt.getTime() <= limit;
    let removed = 0;
    for (const { id, status, stoppedAt } of await registry.list()) {
      // A box that cannot be read is kept: it may belong to another version.
      if ((status !== "stopped" && status !== "error") || !isOld(stoppedAt)) continue;
      // Somebody may start or remove it at this moment, or may have used it since it was listed.
      const unused = ({ stoppedAt: at }: BoxRecord) => isOld(at === null ? null : new Date(at));
      const done = await registry.remove(id, unused).catch((error) => {
        if (isBoxRunError(error) && error.code === "BOX_LOCKED") return false;
        throw error;
      });
      if (done) removed++;
    }
    return removed;
  }

  async usage(id: string): Promise<BoxUsage> {
    this.requireOpen();
    const { store } = await this.openRegistry();
    const info = await this.getBox(id);
    return {
      diskBytes: await store.diskUsage(info.id),
      diskLimitBytes: info.diskSizeGb * 2 ** 30,
      persistent: store.persistent === true,
    };
  }

  async startExec(boxId: string, spec: ExecSpec): Promise<ExecInfo> {
    return (await this.box(boxId)).startExec(spec);
  }

  async getExec(boxId: string, execId: string): Promise<ExecInfo> {
    return (await this.execution(boxId, execId)).info;
  }

  async listExecs(boxId: string): Promise<ExecInfo[]> {
    const { id, box, finished } = await this.history(boxId);
    const live = box?.listExecs() ?? [];
    const liveIds = new Set(live.map((info) => info.id));
    const all = [...finished.filter(({ info }) => !liveIds.has(info.id)).map(({ info }) => info), ...live];
    return newestFirst(all.filter((info) => info.boxId === id)).slice(0, HISTORY_LIMIT);
  }

  async *execEvents(
    boxId: string,
    execId: string,
    { after, signal }: { after: number; signal?: AbortSignal },
  ): AsyncGenerator<BackendEvent, void, undefined> {
    const { box, live, events } = await this.execution(boxId, execId);
    if (box && live) return yield* box.events(live, after, signal);
    for (const event of events) if (event.seq > after) yield event;
  }

  async waitExec(boxId: string, execId: string, { signal }: { signal?: AbortSignal }): Promise<ExecInfo> {
    const { box, live, info } = await this.execution(boxId, execId);
    return box && live ? box.hold(() => untilAborted(live.wait(), signal)) : info;
  }

  async cancelExec(boxId: string, execId: string): Promise<ExecInfo> {
    const { box, live } = await this.runningExecution(boxId, execId);
    return box.hold(() => live.cancel());
  }

  async signalExec(boxId: string, execId: string, signal: string): Promise<void> {
    (await this.runningExecution(boxId, execId)).live.signal(signal);
  }

  async writeStdin(boxId: string, execId: string, chunk: Uint8Array): Promise<void> {
    const { box, live } = await this.runningExecution(boxId, execId);
    return box.hold(() => live.writeStdin(chunk));
  }

  async closeStdin(boxId: string, execId: string): Promise<void> {
    const { box, live } = await this.runningExecution(boxId, execId);
    return box.hold(() => live.closeStdin());
  }

  async attach(boxId: string, spec: TerminalSpec, { signal }: { signal?: AbortSignal }): Promise<Terminal> {
    return (await this.box(boxId)).attach(spec, signal);
  }

  async upload(
    boxId: string,
    path: string,
    body: ReadableStream<Uint8Array>,
    options: UploadSpec,
  ): Promise<void> {
    return uploadFile((await this.box(boxId)).useFiles(), { path, body, ...options });
  }

  async download(boxId: string, path: string, { signal }: { signal?: AbortSignal }): Promise<DownloadResult> {
    return downloadFile((await this.box(boxId)).useFiles(), path, signal);
  }

  async fileOperation(
    boxId: string,
    operation: FileOperation,
    { signal }: { signal?: AbortSignal },
  ): Promise<FileEntry[]> {
    return operateOnFiles((await this.box(boxId)).useFiles(), operation, signal);
  }

  async watchFiles(
    boxId: string,
    path: Uint8Array,
    options: { recursive: boolean; signal?: AbortSignal },
  ): Promise<AsyncIterable<FileChange>> {
    return watchFiles((await this.box(boxId)).useFiles(), path, options);
  }

  /** Stops every box that runs here. Their disks stay. */
  async close(): Promise<void> {
    this.closed = true;
    const pool = this.launcher.close();
    const registry = await this.registry?.catch(() => undefined);
    if (!registry) return pool;
    this.stopWatching?.();
    const closed = new BoxRunError("BOX_NOT_RUNNING", "this client was closed");
    await Promise.all(
      [...registry.running.values()].map((box) =>
        // A creation in progress ends as if it were aborted. In memory there is nothing to keep.
        registry.store.persistent === true && box.info.status === "running"
          ? // One that is being stopped still has to write what its guest has not: it is waited for.
            (box.stopping ?? box.stop()).catch(() => box.end(closed))
          : box.end(closed),
      ),
    );
    await pool;
    registry.changed();
  }

  private async execution(boxId: string, execId: string): Promise<KnownExecution> {
    const here = (await this.openRegistry()).running.get(boxId);
    const known = here?.removed ? undefined : here?.execution(execId);
    if (here && known) return { box: here, live: known, info: known.info, events: [] };
    const { id, box, finished } = await this.history(boxId);
    const live = box?.execution(execId);
    if (box && live) return { box, live, info: live.info, events: [] };
    const found = finished.find(({ info }) => info.id === execId);
    if (found) return { ...found, box, live: undefined };
    throw new BoxRunError("EXEC_NOT_FOUND", `box ${id} has no execution ${JSON.stringify(execId)}`);
  }

  private async runningExecution(
    boxId: string,
    execId: string,
  ): Promise<{ box: LocalBox; live: LocalExecution }> {
    const { box, live, info } = await this.execution(boxId, execId);
    if (box && live) return { box, live };
    throw new BoxRunError("EXEC_ALREADY_FINISHED", `${execId} has already ended (${info.status})`);
  }

  private async history(idOrName: string) {
    this.requireOpen();
    const registry = await this.openRegistry();
    const id = await registry.resolve(idOrName);
    const finished = decodeEntries(id, await registry.store.readHistory(id));
    return { id, box: registry.running.get(id), finished };
  }

  /** Finds a box that runs here. @throws {BoxRunError} BOX_NOT_FOUND, BOX_NOT_RUNNING, BOX_LOCKED */
  private async box(idOrName: string, hint = "start it first"): Promise<LocalBox> {
    this.requireOpen();
    const registry = await this.openRegistry();
    const id = await registry.resolve(idOrName);
    const box = registry.running.get(id);
    if (box) return box;
    const { status, errorMessage } = await registry.info(id);
    if (status === "running" || status === "creating") throw await registry.lockedElsewhere(id);
    const why = errorMessage === null ? "" : `: ${errorMessage}`;
    throw new BoxRunError("BOX_NOT_RUNNING", `box ${id} has status ${status}${why}`, { hint });
  }

  private openRegistry(): Promise<BoxRegistry> {
    this.registry ??= retryLater(this.openStore(), () => {
      this.registry = undefined;
    });
    return this.registry;
  }

  private async openStore(): Promise<BoxRegistry> {
    const { persistent, state, pauseHidden } = this.options;
    const registry = new BoxRegistry(
      persistent === false ? memoryStore(false) : await this.host.openStore(state),
    );
    if (pauseHidden) this.stopWatching = this.host.watchHidden?.((hidden) => registry.setPaused(hidden));
    return registry;
  }

  private requireOpen(): void {
    if (this.closed) throw invalid("this client was closed");
  }
}
