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
} from "../backend.js";
import { DEFAULT_DISK_GB, DEFAULT_MEMORY_MB } from "../contract/schemas.js";
import { BoxRunError, invalid, unsupported } from "../errors.js";
import { untilAborted } from "../util/abort.js";
import { deferred } from "../util/deferred.js";
import { newId } from "../util/ids.js";
import { Assets } from "./assets.js";
import type { Host } from "./host.js";
import { LocalBox } from "./local-box.js";
import { type ImageManifest, readManifest } from "./manifest.js";
import type { LocalOptions } from "./options.js";

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
  usage: "not built yet",
  pull: "not built yet",
  persistence: "disks of local boxes are in memory yet: they end with the page or process",
};

/** Boxes that run here, each an emulated machine in a Worker of its own. */
export class LocalBackend implements Backend {
  readonly capabilities = CAPABILITIES;
  private readonly boxes = new Map<string, LocalBox>();
  private readonly location: string;
  private readonly logLimitBytes: number;
  private assets: Promise<Assets> | undefined;
  private emulator: Promise<WebAssembly.Module> | undefined;
  private closed = false;

  constructor(
    private readonly host: Host,
    options: LocalOptions,
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
      aliases: image.aliases,
      description: image.description,
      downloadBytes: assets.downloadBytes([
        "v86.wasm",
        image.base,
        image.snapshots.find(({ memoryMb, disk }) => memoryMb === DEFAULT_MEMORY_MB && disk)?.name ??
          "kernel",
      ]),
      totalBytes: 0,
    }));
  }

  async createBox(
    spec: BoxSpec,
    { signal, onProgress }: { signal?: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<BoxInfo> {
    this.requireOpen();
    requireBuildable(spec);
    signal?.throwIfAborted();
    if (spec.name !== null && this.find(spec.name)) {
      throw new BoxRunError(
        "NAME_ALREADY_EXISTS",
        `there is a box named ${JSON.stringify(spec.name)} already`,
      );
    }
    const state = newState(spec);
    const box = new LocalBox(state, spec, this.logLimitBytes, this.host);
    this.boxes.set(state.id, box);
    // What the caller's callback throws is the caller's: it fails the creation, wherever it was called from.
    const callbackFailed = deferred<never>();
    const report = (progress: CreateProgress) => {
      try {
        onProgress?.(progress);
      } catch (error) {
        callbackFailed.reject(error);
      }
    };
    try {
      await box.hold(() =>
        untilAborted(Promise.race([this.boot(box, spec, state, report), callbackFailed.promise]), signal),
      );
      return box.info;
    } catch (error) {
      this.boxes.delete(state.id);
      box.dispose();
      throw error;
    }
  }

  async getBox(idOrName: string): Promise<BoxInfo> {
    return this.box(idOrName).info;
  }

  async listBoxes({ status }: { status?: string }): Promise<BoxInfo[]> {
    this.requireOpen();
    const all = [...this.boxes.values()].map((box) => box.info);
    return status === undefined ? all : all.filter((info) => info.status === status);
  }

  async removeBox(id: string, { force }: { force: boolean }): Promise<void> {
    // Closing has removed every box: who removes one then has what they asked for.
    if (this.closed) throw notFound(id);
    const box = this.box(id);
    const { status } = box.info;
    if (!force && (status === "running" || status === "creating")) {
      throw new BoxRunError("BOX_ALREADY_RUNNING", `box ${box.info.id} is running`, {
        hint: "remove it with { force: true }",
      });
    }
    this.boxes.delete(box.info.id);
    box.dispose();
  }

  async startExec(boxId: string, spec: ExecSpec): Promise<ExecInfo> {
    return this.box(boxId).startExec(spec);
  }

  async getExec(boxId: string, execId: string): Promise<ExecInfo> {
    return this.box(boxId).execution(execId).info;
  }

  async listExecs(boxId: string): Promise<ExecInfo[]> {
    return this.box(boxId).listExecs();
  }

  execEvents(
    boxId: string,
    execId: string,
    { after, signal }: { after: number; signal?: AbortSignal },
  ): AsyncIterable<BackendEvent> {
    return this.box(boxId).events(execId, after, signal);
  }

  async waitExec(boxId: string, execId: string, { signal }: { signal?: AbortSignal }): Promise<ExecInfo> {
    const box = this.box(boxId);
    return box.hold(() => untilAborted(box.execution(execId).wait(), signal));
  }

  async cancelExec(boxId: string, execId: string): Promise<ExecInfo> {
    const box = this.box(boxId);
    return box.hold(() => box.execution(execId).cancel());
  }

  async signalExec(boxId: string, execId: string, signal: string): Promise<void> {
    this.box(boxId).execution(execId).signal(signal);
  }

  async writeStdin(boxId: string, execId: string, chunk: Uint8Array): Promise<void> {
    const box = this.box(boxId);
    return box.hold(() => box.execution(execId).writeStdin(chunk));
  }

  async closeStdin(boxId: string, execId: string): Promise<void> {
    const box = this.box(boxId);
    return box.hold(() => box.execution(execId).closeStdin());
  }

  async upload(
    boxId: string,
    path: string,
    body: ReadableStream<Uint8Array>,
    { mode, signal }: { mode: number; signal?: AbortSignal },
  ): Promise<void> {
    return this.box(boxId).upload(path, body, mode, signal);
  }

  async download(boxId: string, path: string, { signal }: { signal?: AbortSignal }): Promise<DownloadResult> {
    return this.box(boxId).download(path, signal);
  }

  async stopBox(): Promise<BoxInfo> {
    throw unsupported("stop is not built yet");
  }

  async startBox(): Promise<BoxInfo> {
    throw unsupported("start is not built yet");
  }

  async gc(): Promise<number> {
    throw unsupported("gc is not built yet");
  }

  async usage(): Promise<BoxUsage> {
    throw unsupported("usage is not built yet");
  }

  async pullImage(): Promise<void> {
    throw unsupported("pull is not built yet");
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const box of this.boxes.values()) box.dispose();
    this.boxes.clear();
  }

  private async boot(
    box: LocalBox,
    spec: BoxSpec,
    state: BoxInfo,
    onProgress: (progress: CreateProgress) => void,
  ): Promise<void> {
    onProgress({ phase: "download" });
    const assets = await this.openAssets();
    const image = findImage(assets, spec.image);
    state.local!.image = image.description;
    const config = {
      image: image.name,
      memoryMb: spec.memoryMb,
      disk: spec.diskSizeGb === DEFAULT_DISK_GB ? DEFAULT_DISK : GROWING_DISK,
      diskBytes: spec.diskSizeGb * 2 ** 30,
      manifest: assets.manifest,
      assets: this.location,
    };
    await box.boot(config, this.compileEmulator(assets), onProgress);
  }

  private openAssets(): Promise<Assets> {
    this.assets ??= retryLater(this.readAssets(), () => {
      this.assets = undefined;
    });
    return this.assets;
  }

  private async readAssets(): Promise<Assets> {
    const source = this.host.openSource(this.location);
    return new Assets(source, await readManifest(source));
  }

  private compileEmulator(assets: Assets): Promise<WebAssembly.Module> {
    this.emulator ??= retryLater(assets.compile("v86.wasm"), () => {
      this.emulator = undefined;
    });
    return this.emulator;
  }

  private box(idOrName: string): LocalBox {
    this.requireOpen();
    const box = this.find(idOrName);
    if (box) return box;
    throw notFound(idOrName);
  }

  private find(idOrName: string): LocalBox | undefined {
    return this.boxes.get(idOrName) ?? [...this.boxes.values()].find((box) => box.info.name === idOrName);
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

function notFound(idOrName: string): BoxRunError {
  return new BoxRunError("BOX_NOT_FOUND", `there is no box ${JSON.stringify(idOrName)}`);
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

function findImage(assets: Assets, asked: string): ImageManifest {
  const { images } = assets.manifest;
  const found = images.find((image) => image.name === asked || image.aliases.includes(asked));
  if (found) return found;
  const known = images.map((image) => [image.name, ...image.aliases].join(", ")).join("; ");
  throw new BoxRunError("IMAGE_PULL_FAILED", `there is no local image ${JSON.stringify(asked)}`, {
    hint: `there are: ${known}`,
  });
}

function newState(spec: BoxSpec): BoxInfo {
  return {
    ...spec,
    id: newId("box"),
    status: "creating",
    errorCode: null,
    errorMessage: null,
    createdAt: new Date(),
    startedAt: null,
    stoppedAt: null,
    local: { image: "", cpus: 1, persistent: false, boot: "cold", warnings: [] },
  };
}
