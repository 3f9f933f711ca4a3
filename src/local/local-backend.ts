import type {
  Backend,
  BackendEvent,
  BackendInfo,
  BoxInfo,
  BoxSpec,
  BoxUsage,
  Capabilities,
  CreateProgress,
  DownloadResult,
  ExecInfo,
  ExecSpec,
  ImageInfo,
  TransferProgress,
} from "../backend.js";
import { DEFAULT_DISK_GB, DEFAULT_MEMORY_MB } from "../contract/schemas.js";
import { BoxRunError, invalid, isBoxRunError, unsupported } from "../errors.js";
import { untilAborted } from "../util/abort.js";
import { deferred } from "../util/deferred.js";
import { newId } from "../util/ids.js";
import { Assets } from "./assets.js";
import { BoxRegistry, lockedElsewhere } from "./box-registry.js";
import type { Host } from "./host.js";
import { fetchAll, parseChunkList } from "./image-chunks.js";
import { LocalBox } from "./local-box.js";
import type { LocalExecution } from "./local-execution.js";
import { neededAssets } from "./machine/needed-assets.js";
import { type ImageManifest, readManifest } from "./manifest.js";
import type { LocalOptions } from "./options.js";
import type { Release } from "./state/box-store.js";
import { decodeEntries, type FinishedExecution, HISTORY_LIMIT } from "./state/history.js";
import { type BoxRecord, newRecord } from "./state/record.js";
import { memoryStore } from "./state/store-memory.js";

/** The least that boots, and the most that v86 can address. */
const MIN_MEMORY_MB = 96;
const MAX_MEMORY_MB = 2000;
const MAX_DISK_GB = 64;
/** File system templates: one of the default size, and a small one that the guest grows. */
const DEFAULT_DISK = "disk-8g";
const GROWING_DISK = "disk-1g";
const DEFAULT_LOG_LIMIT_BYTES = 16 * 2 ** 20;
const MAX_CPU = 64;

const CAPABILITIES: Capabilities = {
  bytes: true,
  cursor: true,
  stdin: true,
  signal: true,
  network: "the local backend has no network yet",
  volumes: "the local backend has no volumes yet; use upload",
  attach: "the local backend has no terminals yet; use execStream with stdin",
  usage: true,
  persistence: true,
  pull: true,
};

/** A command of this run, or of an earlier one. */
interface KnownExecution extends FinishedExecution {
  box: LocalBox | undefined;
  live: LocalExecution | undefined;
}

/** Boxes that run here, each an emulated machine in a Worker of its own. */
export class LocalBackend implements Backend {
  readonly capabilities = CAPABILITIES;
  private registry: Promise<BoxRegistry> | undefined;
  private readonly location: string;
  private readonly logLimitBytes: number;
  private assets: Promise<Assets> | undefined;
  private emulator: Promise<WebAssembly.Module> | undefined;
  private closed = false;

  constructor(
    private readonly host: Host,
    private readonly options: LocalOptions,
  ) {
    this.location = host.assetsLocation(options.assets);
    this.logLimitBytes = options.logLimitBytes ?? DEFAULT_LOG_LIMIT_BYTES;
    if (!Number.isSafeInteger(this.logLimitBytes) || this.logLimitBytes < 0) {
      throw invalid("local.logLimitBytes must be a whole number of bytes");
    }
  }

  async info(): Promise<BackendInfo> {
    return {
      backend: "local",
      description: `a machine emulated by v86 in ${this.host.description}`,
      maxCpu: MAX_CPU,
      maxMemoryMb: MAX_MEMORY_MB,
      capabilities: CAPABILITIES,
    };
  }

  async images(): Promise<ImageInfo[]> {
    const assets = await this.openAssets();
    return assets.manifest.images.map((image) => ({
      name: image.name,
      aliases: [...image.aliases, ...image.standsFor],
      description: image.description,
      downloadBytes: assets.downloadBytes(["v86.wasm", image.base, defaultSnapshot(image)]),
      totalBytes: this.pullFiles(assets, image).bytes + image.baseDownloadBytes,
    }));
  }

  async pullImage(
    name: string,
    { signal, onProgress }: { signal?: AbortSignal; onProgress?: (progress: TransferProgress) => void },
  ): Promise<void> {
    this.requireOpen();
    const assets = await this.openAssets();
    const { source } = assets;
    const image = this.findImage(assets, name);
    if (source.keeps !== true) throw unsupported(`pull: ${source.keeps}`);
    const { files, bytes } = this.pullFiles(assets, image);
    const totalBytes = bytes + image.baseDownloadBytes;
    let loadedBytes = 0;
    const onBytes = (count: number) => {
      loadedBytes += count;
      onProgress?.({ loadedBytes, totalBytes });
    };
    const chunks = parseChunkList(await assets.load(image.base), image.baseBytes);
    await fetchAll(source, [...files, ...chunks], { ...(signal && { signal }), onBytes });
  }

  /** What of an image, beside its chunks, boxes of the default sizes need. */
  private pullFiles({ manifest }: Assets, image: ImageManifest) {
    const snapshots = image.snapshots.filter(({ memoryMb }) => memoryMb === DEFAULT_MEMORY_MB);
    const names = ["v86.wasm", DEFAULT_DISK, GROWING_DISK, image.base, ...snapshots.map(({ name }) => name)];
    const files = names.flatMap((name) => manifest.files[name] ?? []);
    return { files, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
  }

  async createBox(
    spec: BoxSpec,
    { signal, onProgress }: { signal?: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<BoxInfo> {
    this.requireOpen();
    requireBuildable(spec);
    signal?.throwIfAborted();
    const registry = await this.openRegistry();
    const record = newRecord(newId("box"), spec);
    const create = () => registry.store.create(record.id, record);
    // Only a name has to be compared with those of all other boxes.
    const lock =
      spec.name === null
        ? create()
        : registry.store.exclusively(async () => {
            const taken = (await registry.list()).some(({ name }) => name === spec.name);
            if (!taken) return create();
            throw new BoxRunError(
              "NAME_ALREADY_EXISTS",
              `there is a box named ${JSON.stringify(spec.name)} already`,
            );
          });
    const box = this.adopt(registry, record, lock);
    try {
      await this.boot(box, record, DEFAULT_DISK_GB, signal, onProgress);
      return box.info;
    } catch (error) {
      await box.remove().catch(() => {});
      throw error;
    }
  }

  async startBox(
    id: string,
    { signal, onProgress }: { signal?: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<BoxInfo> {
    this.requireOpen();
    signal?.throwIfAborted();
    const registry = await this.openRegistry();
    const boxId = await registry.resolve(id);
    const here = registry.running.get(boxId);
    if (here && !here.ended) throw new BoxRunError("BOX_ALREADY_RUNNING", `box ${boxId} is running`);
    await here?.ended;
    const { record, release } = await registry.take(boxId);
    const box = this.adopt(registry, record, Promise.resolve(release));
    try {
      await this.boot(box, record, null, signal, onProgress);
      return box.info;
    } catch (error) {
      const stopped = new BoxRunError("BOX_NOT_RUNNING", `box ${boxId} could not be started`);
      await box.end(stopped, { stoppedAt: new Date().toISOString() }).catch(() => {});
      throw error;
    }
  }

  async stopBox(id: string): Promise<BoxInfo> {
    this.requireOpen();
    const registry = await this.openRegistry();
    const box = await this.box(id);
    await box.stop();
    return registry.info(box.id);
  }

  async getBox(idOrName: string): Promise<BoxInfo> {
    this.requireOpen();
    return (await this.openRegistry()).info(idOrName);
  }

  async listBoxes({ status }: { status?: string }): Promise<BoxInfo[]> {
    this.requireOpen();
    const all = await (await this.openRegistry()).list();
    return status === undefined ? all : all.filter((info) => info.status === status);
  }

  /** Works after `close`, too: who created a box may remove it whenever they are done with it. */
  async removeBox(id: string, { force }: { force: boolean }): Promise<void> {
    const registry = await this.openRegistry();
    const boxId = await registry.resolve(id);
    const box = registry.running.get(boxId);
    if (!box) return registry.remove(boxId);
    if (!force && !box.ended) {
      throw new BoxRunError("BOX_ALREADY_RUNNING", `box ${boxId} is running`, {
        hint: "remove it with { force: true }",
      });
    }
    await box.remove();
    // Where it was being stopped meanwhile, its files are still there.
    if ((await registry.store.readRecord(boxId)) !== undefined) await registry.remove(boxId);
  }

  async gc({ olderThan }: { olderThan: number }): Promise<number> {
    this.requireOpen();
    const registry = await this.openRegistry();
    const limit = Date.now() - olderThan * 1000;
    let removed = 0;
    for (const { id, status, stoppedAt } of await registry.list()) {
      if (status !== "stopped" || stoppedAt === null || stoppedAt.getTime() > limit) continue;
      // Somebody may start it, or remove it, at this very moment.
      const done = await registry.remove(id).then(
        () => true,
        (error) => {
          if (isBoxRunError(error) && error.code === "BOX_LOCKED") return false;
          throw error;
        },
      );
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
    return all.filter((info) => info.boxId === id).slice(-HISTORY_LIMIT);
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

  async upload(
    boxId: string,
    path: string,
    body: ReadableStream<Uint8Array>,
    { mode, signal }: { mode: number; signal?: AbortSignal },
  ): Promise<void> {
    return (await this.box(boxId)).upload(path, body, mode, signal);
  }

  async download(boxId: string, path: string, { signal }: { signal?: AbortSignal }): Promise<DownloadResult> {
    return (await this.box(boxId)).download(path, signal);
  }

  /** Stops every box that runs here. Their disks stay. */
  async close(): Promise<void> {
    this.closed = true;
    const registry = await this.registry?.catch(() => undefined);
    if (!registry) return;
    const closed = new BoxRunError("BOX_NOT_RUNNING", "this client was closed");
    await Promise.all(
      [...registry.running.values()].map((box) =>
        // One that is still being made ends as its maker's abort would end it; in memory there is nothing to keep.
        registry.store.persistent === true && box.info.status === "running"
          ? box.stop().catch(() => box.end(closed))
          : box.end(closed),
      ),
    );
  }

  /** IMAGE_PULL_FAILED. */
  private findImage({ manifest }: Assets, asked: string): ImageManifest {
    const { images } = manifest;
    const found = images.find(({ name, aliases }) => name === asked || aliases.includes(asked));
    if (found) return found;
    const standIn = images.find(({ standsFor }) => standsFor.includes(asked));
    if (standIn && !this.options.strictImages) return standIn;
    if (standIn) {
      throw new BoxRunError(
        "IMAGE_PULL_FAILED",
        `${JSON.stringify(asked)} is not here, only what stands in for it: ${standIn.description}`,
        { hint: `ask for ${JSON.stringify(standIn.name)}, or leave out local.strictImages` },
      );
    }
    const known = images.map(({ name, aliases }) => [name, ...aliases].join(", ")).join("; ");
    throw new BoxRunError("IMAGE_PULL_FAILED", `there is no local image ${JSON.stringify(asked)}`, {
      hint: `there are: ${known}`,
    });
  }

  private imageOf(assets: Assets, { spec, image: made, id }: BoxRecord): ImageManifest {
    const image = this.findImage(assets, made?.name ?? spec.image);
    const base = assets.manifest.files[image.base]?.sha256;
    if (!made?.base || made.base === base) return image;
    throw new BoxRunError(
      "STATE_MISMATCH",
      `box ${id} was made of another build of the image ${image.name}, and its disk only goes with that`,
      { hint: "use the version of boxrun that made it" },
    );
  }

  private adopt(registry: BoxRegistry, record: BoxRecord, lock: Promise<Release>): LocalBox {
    const box = new LocalBox(record, lock, {
      host: this.host,
      store: registry.store,
      logLimitBytes: this.logLimitBytes,
      durability: this.options.durability ?? "relaxed",
      onEnded: () => registry.running.delete(record.id),
    });
    registry.running.set(record.id, box);
    return box;
  }

  /** `newDiskGb`: the size whose template needs no growing; null: the box has a disk. */
  private async boot(
    box: LocalBox,
    record: BoxRecord,
    newDiskGb: number | null,
    signal: AbortSignal | undefined,
    onProgress: ((progress: CreateProgress) => void) | undefined,
  ): Promise<void> {
    // What the caller's callback throws is the caller's: it fails the creation, wherever it was called from.
    const callbackFailed = deferred<never>();
    const report = (progress: CreateProgress) => {
      try {
        onProgress?.(progress);
      } catch (error) {
        callbackFailed.reject(error);
      }
    };
    const boot = async () => {
      report({ phase: "download" });
      const assets = await this.openAssets();
      const image = this.imageOf(assets, record);
      const { memoryMb, diskSizeGb } = record.spec;
      const base = assets.manifest.files[image.base]?.sha256 ?? null;
      box.describeImage({ name: image.name, description: image.description, base });
      const config = {
        image: image.name,
        memoryMb,
        disk: newDiskGb === null ? null : diskSizeGb === newDiskGb ? DEFAULT_DISK : GROWING_DISK,
        diskBytes: diskSizeGb * 2 ** 30,
        manifest: assets.manifest,
        assets: this.location,
        ...(this.options.cache !== undefined && { cache: this.options.cache }),
      };
      const totalBytes = assets.downloadBytes(neededAssets(config));
      let loadedBytes = 0;
      const onLoaded = (bytes: number) => {
        // The guest's own reads, once it runs, are no longer what the caller waits for.
        loadedBytes += bytes;
        if (loadedBytes <= totalBytes) report({ phase: "download", loadedBytes, totalBytes });
      };
      await box.boot(config, this.compileEmulator(assets), report, onLoaded);
    };
    await box.hold(() => untilAborted(Promise.race([boot(), callbackFailed.promise]), signal));
  }

  private async execution(boxId: string, execId: string): Promise<KnownExecution> {
    const here = (await this.openRegistry()).running.get(boxId);
    const known = here?.execution(execId);
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
    throw new BoxRunError("EXEC_ALREADY_FINISHED", `${execId} has ended already (${info.status})`);
  }

  private async history(idOrName: string) {
    this.requireOpen();
    const registry = await this.openRegistry();
    const id = await registry.resolve(idOrName);
    const finished = decodeEntries(id, await registry.store.readHistory(id));
    return { id, box: registry.running.get(id), finished };
  }

  private openAssets(): Promise<Assets> {
    this.assets ??= retryLater(this.readAssets(), () => {
      this.assets = undefined;
    });
    return this.assets;
  }

  private async readAssets(): Promise<Assets> {
    const source = this.host.openSource(this.location, this.options.cache);
    return new Assets(source, await readManifest(source));
  }

  private compileEmulator(assets: Assets): Promise<WebAssembly.Module> {
    this.emulator ??= retryLater(assets.compile("v86.wasm"), () => {
      this.emulator = undefined;
    });
    return this.emulator;
  }

  /** A box that runs here. BOX_NOT_FOUND, BOX_NOT_RUNNING, BOX_LOCKED. */
  private async box(idOrName: string): Promise<LocalBox> {
    this.requireOpen();
    const registry = await this.openRegistry();
    const id = await registry.resolve(idOrName);
    const box = registry.running.get(id);
    if (box) return box;
    const { status, errorMessage } = await registry.info(id);
    if (status === "running" || status === "creating") throw lockedElsewhere(id);
    const why = errorMessage === null ? "" : `: ${errorMessage}`;
    throw new BoxRunError("BOX_NOT_RUNNING", `box ${id} is in status ${status}${why}`, {
      hint: "start it first",
    });
  }

  private openRegistry(): Promise<BoxRegistry> {
    this.registry ??= retryLater(this.openStore(), () => {
      this.registry = undefined;
    });
    return this.registry;
  }

  private async openStore(): Promise<BoxRegistry> {
    if (this.options.persistent === false) return new BoxRegistry(memoryStore(false));
    return new BoxRegistry(await this.host.openStore(this.options.state));
  }

  private requireOpen(): void {
    if (this.closed) throw invalid("this client was closed");
  }
}

/** Calls `forget` when the promise rejects, so that the next caller tries again instead of meeting an old failure. */
function retryLater<T>(promise: Promise<T>, forget: () => void): Promise<T> {
  promise.catch(forget);
  return promise;
}

function requireBuildable(spec: BoxSpec): void {
  if (spec.memoryMb < MIN_MEMORY_MB || spec.memoryMb > MAX_MEMORY_MB) {
    throw invalid(
      `memoryMb must be ${MIN_MEMORY_MB} to ${MAX_MEMORY_MB} for a local box, and ${spec.memoryMb} is not`,
    );
  }
  if (spec.diskSizeGb > MAX_DISK_GB) {
    throw invalid(`diskSizeGb must be 1 to ${MAX_DISK_GB} for a local box, and ${spec.diskSizeGb} is not`);
  }
  if (spec.network) throw unsupported(`network: ${CAPABILITIES.network}`);
  if (spec.volumes?.length) throw unsupported(`volumes: ${CAPABILITIES.volumes}`);
}

/** The name of the snapshot that a box of the default size starts from. */
function defaultSnapshot(image: ImageManifest): string {
  const found = image.snapshots.find(({ memoryMb, disk }) => memoryMb === DEFAULT_MEMORY_MB && disk !== null);
  return found?.name ?? "kernel";
}
