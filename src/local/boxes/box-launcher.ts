import type { BoxInfo, BoxSpec, CreateProgress, LaunchOptions } from "../../backend/backend.js";
import { BoxRunError, invalid } from "../../backend/errors.js";
import { shown } from "../../backend/validate.js";
import { DEFAULT_DISK_GB } from "../../contract/schemas.js";
import { requireSameSecrets } from "../../network/secrets.js";
import { untilAborted } from "../../util/abort.js";
import { deferred } from "../../util/deferred.js";
import { newId } from "../../util/ids.js";
import { GuestMachine } from "../host/guest-machine.js";
import type { ChosenWayOut, Host } from "../host/host.js";
import type { MachineConfig } from "../machine/messages.js";
import { neededAssets } from "../machine/needed-assets.js";
import type { Release } from "../store/box-store.js";
import { type BoxRecord, machineMemoryMb, newRecord } from "../store/record.js";
import { findNeighbor } from "./box-lan.js";
import type { BoxRegistry } from "./box-registry.js";
import { requireSources, withKept } from "./box-sources.js";
import { requireDirectories, volumeMounts } from "./box-volumes.js";
import { freeMemoryMb, requireRoom, totalMemoryMb } from "./capabilities.js";
import { DEFAULT_DISK, GROWING_DISK, type ImageCatalog } from "./image-catalog.js";
import type { FoundImage } from "./image-search.js";
import { LocalBox } from "./local-box.js";
import type { NetworkContext } from "./local-network.js";
import type { LocalOptions } from "./options.js";
import { type MachineStart, WarmPool } from "./warm-pool.js";

const DEFAULT_LOG_LIMIT_BYTES = 16 * 2 ** 20;

/** Creates and starts the boxes of a backend. */
export class BoxLauncher {
  private readonly logLimitBytes: number;
  private readonly pool: WarmPool;
  /** Memory in MiB that boxes may have together. */
  readonly memoryMb: number;
  private readonly network: NetworkContext | undefined;
  private readonly boxes = new Set<LocalBox>();
  private readonly starting = new Map<string, Promise<BoxInfo>>();

  /** `requireOpen` throws once the backend is closed. */
  constructor(
    private readonly host: Host,
    private readonly catalog: ImageCatalog,
    private readonly options: LocalOptions,
    wayOut: ChosenWayOut,
    private readonly requireOpen: () => void,
  ) {
    this.logLimitBytes = options.logLimitBytes ?? DEFAULT_LOG_LIMIT_BYTES;
    if (!Number.isSafeInteger(this.logLimitBytes) || this.logLimitBytes < 0) {
      throw invalid(
        `local.logLimitBytes must be an integer of at least 0, got ${shown(options.logLimitBytes)}`,
      );
    }
    this.memoryMb = totalMemoryMb(options, host.memoryMb);
    if (!(this.memoryMb > 0))
      throw invalid(`local.maxTotalMemoryMb must be greater than 0, got ${shown(this.memoryMb)}`);
    this.network = this.networkContext(wayOut);
    this.pool = new WarmPool(
      host,
      options.warm ?? [],
      () => freeMemoryMb(this.memoryMb, this.running()),
      (image, memoryMb) => this.startOf(image, memoryMb),
    );
  }

  /** Creates a box and starts it; a failed creation leaves nothing. @throws {BoxRunError} NAME_ALREADY_EXISTS, RESOURCE_EXCEEDED */
  async create(registry: BoxRegistry, spec: BoxSpec, options: LaunchOptions): Promise<BoxInfo> {
    // There is no `await` from here to `adopt`, so that a client that closes can end all its boxes.
    this.requireOpen();
    this.requireRoom(spec);
    const record = newRecord(newId("box"), spec, options.secrets);
    const create = () => registry.store.create(record.id, record);
    // Only a box with a name must be compared with all others.
    const lock =
      spec.name === null
        ? create()
        : registry.store.exclusively(async () => {
            const taken = (await registry.list()).some(({ name }) => name === spec.name);
            if (!taken) return create();
            throw new BoxRunError(
              "NAME_ALREADY_EXISTS",
              `a box named ${JSON.stringify(spec.name)} already exists`,
            );
          });
    const box = this.adopt(registry, record, lock, this.pool.take(spec) ?? new GuestMachine(this.host));
    try {
      await this.boot(box, record, DEFAULT_DISK_GB, options);
      return box.info;
    } catch (error) {
      await box.remove().catch(() => {});
      throw error;
    } finally {
      this.pool.fillSoon();
    }
  }

  /** Starts a stopped box. @throws {BoxRunError} BOX_ALREADY_RUNNING, BOX_LOCKED, RESOURCE_EXCEEDED */
  async start(registry: BoxRegistry, boxId: string, options: LaunchOptions): Promise<BoxInfo> {
    // One start after the other: one that was given up may hold the lock for another moment.
    const before = this.starting.get(boxId);
    const start = (before ?? Promise.resolve())
      .catch(() => {})
      .then(() => this.startNext(registry, boxId, options));
    this.starting.set(boxId, start);
    try {
      return await start;
    } finally {
      if (this.starting.get(boxId) === start) this.starting.delete(boxId);
    }
  }

  private async startNext(registry: BoxRegistry, boxId: string, options: LaunchOptions): Promise<BoxInfo> {
    options.signal?.throwIfAborted();
    const here = registry.running.get(boxId);
    if (here && !here.ended) throw new BoxRunError("BOX_ALREADY_RUNNING", `box ${boxId} is already running`);
    await here?.ended;
    const { record, release } = await registry.take(boxId);
    let volumes: LaunchOptions["volumes"];
    try {
      const mounts = volumeMounts(record.spec.volumes, this.options.volumes);
      await requireDirectories(this.host, mounts, this.options.volumes);
      volumes = await withKept(registry.store, boxId, mounts, options.volumes);
      await requireSources(this.host, mounts, volumes);
      this.requireOpen();
      requireSameSecrets(boxId, record.secrets ?? [], options.secrets);
      this.requireRoom(record.spec);
    } catch (error) {
      await release();
      throw error;
    }
    const box = this.adopt(registry, record, Promise.resolve(release), new GuestMachine(this.host));
    try {
      await this.boot(box, record, null, { ...options, volumes });
      return box.info;
    } catch (error) {
      const stopped = new BoxRunError("BOX_NOT_RUNNING", `box ${boxId} could not be started`);
      await box.end(stopped, { stoppedAt: new Date().toISOString() }).catch(() => {});
      throw error;
    }
  }

  private networkContext(wayOut: ChosenWayOut): NetworkContext | undefined {
    if ("missing" in wayOut) return undefined;
    const { network } = this.options;
    return {
      wayOut,
      encrypt: this.host.encrypt,
      bounds: typeof network === "object" ? network : undefined,
      neighbor: (lan, name) => findNeighbor(this.boxes, lan, name),
    };
  }

  /** Ends the machines that have not become boxes. */
  close(): Promise<void> {
    return this.pool.close();
  }

  private running(): BoxInfo[] {
    return [...this.boxes].filter((box) => !box.ended).map((box) => box.info);
  }

  private requireRoom({ memoryMb }: BoxSpec): void {
    requireRoom(memoryMb, this.memoryMb, this.running());
  }

  private adopt(
    registry: BoxRegistry,
    record: BoxRecord,
    lock: Promise<Release>,
    machine: GuestMachine,
  ): LocalBox {
    const box: LocalBox = new LocalBox(record, lock, machine, {
      store: registry.store,
      logLimitBytes: this.logLimitBytes,
      durability: this.options.durability ?? "relaxed",
      volumes: this.options.volumes,
      network: this.network,
      isPaused: () => registry.isPaused,
      onChanged: () => registry.changed(),
      onEnded: (unwritten) => {
        this.boxes.delete(box);
        registry.ended(record.id, unwritten);
        this.pool.fillSoon();
      },
    });
    registry.running.set(record.id, box);
    this.boxes.add(box);
    this.pool.evict();
    return box;
  }

  /** Boots a box. `newDiskGb` is the size for which a template of that size exists; null: the box has a disk. */
  private async boot(
    box: LocalBox,
    record: BoxRecord,
    newDiskGb: number | null,
    { signal, onProgress, secrets, volumes }: LaunchOptions,
  ): Promise<void> {
    // An error of the caller's callback fails the creation, wherever the callback was called.
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
      const found = await this.catalog.imageOf(record);
      const { assets, image } = found;
      const { name, description, baseSha256 } = image;
      box.describeImage({ name, description, baseSha256 });
      const { memoryMb, diskSizeGb } = record.spec;
      const disk = newDiskGb === null ? null : diskSizeGb === newDiskGb ? DEFAULT_DISK : GROWING_DISK;
      const config = this.configOf(found, { memoryMb, disk, diskSizeGb });
      const totalBytes = assets.downloadBytes(neededAssets(config));
      let loadedBytes = 0;
      const onLoaded = (bytes: number) => {
        // Later reads by the running guest do not count: the caller no longer waits for them.
        loadedBytes += bytes;
        if (loadedBytes <= totalBytes) report({ phase: "download", loadedBytes, totalBytes });
      };
      const emulator = this.catalog.compileEmulator(assets);
      await box.boot(config, emulator, { onProgress: report, onLoaded, secrets, volumes });
    };
    await box.hold(() => untilAborted(Promise.race([boot(), callbackFailed.promise]), signal));
  }

  private configOf(
    { assets: { manifest }, image, places, notes }: FoundImage,
    { memoryMb, disk, diskSizeGb }: { memoryMb: number; disk: string | null; diskSizeGb: number },
  ): MachineConfig {
    return {
      image: image.name,
      memoryMb: machineMemoryMb(memoryMb),
      disk,
      diskBytes: diskSizeGb * 2 ** 30,
      manifest,
      ...places,
      ...(notes.length > 0 && { notes }),
      ...(this.options.cache !== undefined && { cache: this.options.cache }),
    };
  }

  private async startOf(image: string, memoryMb: number): Promise<MachineStart> {
    const found = await this.catalog.find(image);
    const disk = { disk: DEFAULT_DISK, diskSizeGb: DEFAULT_DISK_GB };
    const config = this.configOf(found, { memoryMb, ...disk });
    return { config, emulator: this.catalog.compileEmulator(found.assets) };
  }
}
