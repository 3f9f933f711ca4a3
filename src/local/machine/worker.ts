/**
 * Runs one machine inside a Worker. It knows assets, disks and the emulator, and nothing of the SDK's API. The two entries beside this
 * file (`worker-browser.ts`, `worker-node.ts`) pass it their host's message port and way to read assets.
 */
import { BoxRunError, isBoxRunError } from "../../backend/errors.js";
import { deferred } from "../../util/deferred.js";
import type { AssetSource } from "../assets/asset-source.js";
import { Assets } from "../assets/assets.js";
import { IMAGE_CHUNK_BYTES, ImageChunks } from "../assets/image-chunks.js";
import { openMachineSource } from "../assets/joined-source.js";
import type { OpenedVolume } from "../volumes/mount.js";
import { ReplicaNode } from "../volumes/replica-nodes.js";
import { ServedVolumes } from "../volumes/served-volumes.js";
import { TreeReplica } from "../volumes/tree-replica.js";
import { watchInTree } from "../volumes/tree-watch.js";
import { encodeBootImage } from "./boot-image.js";
import { bootImageFingerprint, loadBootImage, loadColdBoot } from "./boot-parts.js";
import type { StoredDisk } from "./disk.js";
import { decodeTemplate } from "./disk-template.js";
import { ImageDisk } from "./image-disk.js";
import { MemoryDisk } from "./memory-disk.js";
import type {
  DirectoryConfig,
  DiskConfig,
  FromMachine,
  MachineConfig,
  ToMachine,
  VolumeConfig,
} from "./messages.js";
import { findBootImage, imageOf } from "./needed-assets.js";
import { messageOf, OwnerPort } from "./owner-port.js";
import { Machine, type MachineEvents } from "./v86-machine.js";

/** The host's side of a Worker. */
export interface WorkerHost {
  post(message: FromMachine, transfer: ArrayBuffer[]): void;
  openSource(location: string, cache: string | undefined, part?: string): AssetSource;
  /** Opens the disk of a box; `create` is true if it does not exist yet. */
  openDisk(
    location: string,
    options: { create: boolean; bytes: number; durability: "relaxed" | "strict" },
  ): StoredDisk | Promise<StoredDisk>;
  /** Opens a directory as a volume. Absent where there are no directories. @throws {BoxRunError} VALIDATION_ERROR when it cannot be one */
  openVolume?(config: DirectoryConfig): OpenedVolume | Promise<OpenedVolume>;
}

/** Returns a function to call with each message from the owner. */
export function serveMachine(host: WorkerHost): (message: ToMachine) => void {
  const worker = new MachineWorker(host);
  return (message) => worker.receive(message);
}

type PauseReason = "asked" | "backlog";

class MachineWorker {
  private machine: Machine | undefined;
  private config: MachineConfig | undefined;
  private disk: StoredDisk | undefined;
  /** Serves the volumes. A machine begins without any. */
  private volumes = new ServedVolumes([]);
  private replicas: readonly (TreeReplica | undefined)[] = [];
  private opening: Promise<StoredDisk> | undefined;
  private readonly emulator = deferred<WebAssembly.Module>();
  private readonly diskConfig = deferred<DiskConfig>();
  private readonly pauseReasons = new Set<PauseReason>();
  private readonly owner: OwnerPort;
  private readonly events: MachineEvents;

  constructor(private readonly host: WorkerHost) {
    const owner = new OwnerPort((message, transfer) => host.post(message, transfer));
    owner.onBacklog = (full) => this.setPaused("backlog", full);
    this.owner = owner;
    this.events = {
      onConsole: (byte) => owner.print(byte),
      onEnd: (reason) => owner.end("RUNTIME_ERROR", reason),
      onFailure: this.failed,
      onOutput: (bytes) => owner.write(bytes),
      onPacket: (packet) => owner.writePacket(packet),
    };
  }

  receive(message: ToMachine): void {
    if (message instanceof Uint8Array) return this.machine?.send(message);
    switch (message.type) {
      case "start":
        return void this.start(message.config).catch(this.failed);
      case "disk":
        return this.diskConfig.resolve(message);
      case "move":
        return void this.move(message).catch(this.failed);
      case "emulator":
        return this.emulator.resolve(message.module);
      case "save":
        return void this.save(message.withDisk).catch(this.failed);
      case "took":
        return this.owner.noteTaken(message.bytes);
      case "network":
        this.owner.wantsPackets = true;
        return;
      case "packets":
        return this.machine?.sendPackets(message.packets);
      case "took-packets":
        return this.owner.notePacketsTaken(message.bytes);
      case "volumes":
        return void this.openVolumes(message.volumes);
      case "volume-call":
        return void this.volumes
          .call(message.call)
          .then((answer) => this.owner.post({ type: "volume-answer", id: message.id, answer }, []));
      case "tree":
        return this.replicas[message.volume]?.receive(message.message);
      case "pause":
        return this.setPaused("asked", true);
      case "resume":
        return this.setPaused("asked", false);
      case "stop":
        return void this.stop().catch(this.failed);
      case "leave":
        return void this.leave();
    }
  }

  private readonly failed = (thrown: unknown): void => this.owner.fail(thrown);

  private setPaused(why: PauseReason, paused: boolean): void {
    const reasons = this.pauseReasons;
    const before = reasons.size > 0;
    if (paused) reasons.add(why);
    else reasons.delete(why);
    const now = reasons.size > 0;
    if (now !== before) void (now ? this.machine?.pause() : this.machine?.resume())?.catch(this.failed);
    // A pause that the owner asked for ends when the owner says so.
    if (before && !now && why === "backlog") this.owner.post({ type: "resumed" }, []);
  }

  private async start(config: MachineConfig): Promise<void> {
    this.config = config;
    const { owner } = this;
    const image = imageOf(config.manifest, config.image);
    const source = openMachineSource(config, config.manifest, image, (location, part) =>
      this.host.openSource(location, config.cache, part),
    );
    const assets = new Assets(source, config.manifest, (bytes) => owner.noteLoaded(bytes));
    const warnings = [...(config.notes ?? [])];
    const listed = config.forBootImage ? undefined : findBootImage(config);
    const loading = listed && loadBootImage(config, assets, listed);
    // A boot image for a new disk contains its template.
    const template =
      config.disk !== null && listed?.disk !== config.disk ? assets.load(config.disk) : undefined;
    // Avoids unhandled rejections until these are awaited.
    loading?.catch(() => {});
    template?.catch(() => {});
    const [chunks, emulator, disk] = await Promise.all([
      ImageChunks.open(assets, image),
      this.emulator.promise,
      this.diskConfig.promise.then((where) => this.openDisk(config, where)),
    ]);
    chunks.onTrouble = (trouble) => owner.post({ type: "trouble", trouble }, []);
    const base = new ImageDisk(chunks, IMAGE_CHUNK_BYTES, (error) => chunks.noteUnreadable(error));
    const parts = {
      emulator,
      memoryMb: config.memoryMb,
      base,
      disk,
      serve9p: (request: Uint8Array, reply: (answer: Uint8Array) => void) =>
        this.volumes.handle(request, reply),
    };
    this.disk = disk;
    let boot: "snapshot" | "cold" = "cold";
    let newDisk: Uint8Array | undefined;
    if (loading) {
      // The machine is created while its boot image is still being inflated.
      const restored = await Machine.create(parts, this.events);
      try {
        const bootImage = await loading;
        await template;
        owner.post({ type: "starting" }, []);
        await restored.restore(bootImage);
        if (bootImage.disk.byteLength > 0) newDisk = bootImage.disk;
        this.machine = restored;
        boot = "snapshot";
      } catch (error) {
        // A cold boot makes the same box, only later.
        warnings.push(`booted cold, because ${listed?.name} cannot be used: ${messageOf(error)}`);
        await restored.stop();
      }
    }
    if (config.disk !== null) newDisk ??= await (template ?? assets.load(config.disk));
    // Not awaited: data that the guest reads is there at once, and its writes come later.
    if (newDisk) Promise.resolve(disk.writeAll(decodeTemplate(newDisk))).catch(this.failed);
    if (!this.machine) {
      const cold = await loadColdBoot(assets, config.forBootImage ?? false);
      owner.post({ type: "starting" }, []);
      this.machine = await Machine.create({ ...parts, cold }, this.events);
    }
    chunks.patient = true;
    await this.machine.run();
    owner.post({ type: "started", boot, warnings }, []);
  }

  private async openVolumes(configs: readonly VolumeConfig[]): Promise<void> {
    const opened: OpenedVolume[] = [];
    // Their first messages come at once.
    this.replicas = configs.map((config, volume) => {
      if ("hostPath" in config) return undefined;
      return new TreeReplica((message, transfer) =>
        this.owner.post({ type: "tree", volume, message }, transfer),
      );
    });
    try {
      for (const [index, config] of configs.entries())
        opened.push(await this.openVolume(config, this.replicas[index]));
    } catch (error) {
      for (const { root } of opened) root.close();
      const code = isBoxRunError(error) ? error.code : "RUNTIME_ERROR";
      this.owner.post({ type: "volumes", failure: { code, message: messageOf(error) } }, []);
      return;
    }
    this.volumes.close();
    this.volumes = new ServedVolumes(opened);
    this.owner.post({ type: "volumes" }, []);
  }

  private async openVolume(config: VolumeConfig, replica: TreeReplica | undefined): Promise<OpenedVolume> {
    const { readonly } = config;
    if (replica) {
      await replica.loaded;
      return {
        root: ReplicaNode.root(replica),
        device: 0,
        readonly,
        watch: (path, recursive, listener) => watchInTree(replica.tree(), path, recursive, listener),
        watchForeign: (onChange) => replica.watchForeign(onChange),
      };
    }
    const volume = "hostPath" in config && (await this.host.openVolume?.(config));
    if (!volume) throw new BoxRunError("UNSUPPORTED", "there are no directories here");
    return volume;
  }

  private openDisk(config: MachineConfig, where: DiskConfig): Promise<StoredDisk> {
    this.opening = this.diskAt(config, where);
    return this.opening;
  }

  private async diskAt(
    { disk: template, diskBytes: bytes }: MachineConfig,
    { location, contents, durability }: DiskConfig,
  ): Promise<StoredDisk> {
    if (location !== null)
      return this.host.openDisk(location, { create: template !== null, bytes, durability });
    const memory = new MemoryDisk(bytes);
    if (contents) memory.writeAll(decodeTemplate(contents));
    return memory;
  }

  private async stop(): Promise<void> {
    await this.machine?.stop();
    const contents = this.disk instanceof MemoryDisk ? this.disk.toTemplate() : null;
    this.volumes.close();
    await this.disk?.close();
    this.owner.post({ type: "stopped", contents }, contents ? [contents.buffer as ArrayBuffer] : []);
  }

  private async leave(): Promise<void> {
    await this.machine?.stop();
    this.volumes.close();
    await this.opening?.then((opened) => opened.close()).catch(() => {});
    this.owner.post({ type: "left" }, []);
  }

  private async move(where: DiskConfig): Promise<void> {
    const { machine, config, disk } = this;
    if (!machine || !config || !(disk instanceof MemoryDisk)) throw new Error("there is no disk to move");
    const target = await this.openDisk(config, where);
    // No event of the guest comes between these two, and its later writes go to the new disk.
    const stored = target.writeAll(disk.extents());
    machine.useDisk(target);
    this.disk = target;
    await stored;
    this.owner.post({ type: "moved" }, []);
  }

  private async save(withDisk: boolean): Promise<void> {
    const { machine, config, disk } = this;
    if (!machine || !config || !(disk instanceof MemoryDisk)) throw new Error("there is no machine to save");
    const bootImage = encodeBootImage({
      ...(await machine.save()),
      fingerprint: await bootImageFingerprint(config, withDisk ? config.disk : null),
      disk: withDisk ? disk.toTemplate() : new Uint8Array(0),
    });
    this.owner.post({ type: "saved", bootImage }, [bootImage.buffer as ArrayBuffer]);
  }
}
