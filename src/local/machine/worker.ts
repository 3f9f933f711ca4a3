/**
 * Runs one machine inside a Worker. It knows assets, disks and the emulator, and nothing of the SDK's API. The two entries beside this
 * file (`worker-browser.ts`, `worker-node.ts`) pass it their host's message port and way to read assets.
 */
import { isBoxRunError, refusedPermission } from "../../backend/errors.js";
import { deferred } from "../../util/deferred.js";
import type { AssetSource } from "../assets/asset-source.js";
import { Assets } from "../assets/assets.js";
import { IMAGE_CHUNK_BYTES, ImageChunks } from "../assets/image-chunks.js";
import { decodeTemplate, ImageDisk, MemoryDisk, type StoredDisk } from "./disks.js";
import { initramfs } from "./initramfs.js";
import type { DiskConfig, FromMachine, MachineConfig, ToMachine } from "./messages.js";
import { findSnapshot, imageOf, type ListedSnapshot } from "./needed-assets.js";
import { decodeSnapshot, encodeSnapshot, fingerprint, type Snapshot } from "./snapshot.js";
import { DEVICE_SET, Machine } from "./v86-machine.js";

/** Number of bytes of the kernel's output that are kept per slice of emulation, since a guest's root may print without end. */
const CONSOLE_BYTES = 4096;
/**
 * Limit of the output that waits for an owner which does not take it, such as a busy page. Beyond it the machine pauses. Credit does not bound it, since only
 * the owner notices a guest that exceeds its credit.
 */
const BACKLOG_BYTES = 32 * 2 ** 20;
const KERNEL_CMDLINE =
  "console=ttyS0 rdinit=/init tsc=reliable mitigations=off random.trust_cpu=on panic=-1 reboot=k quiet loglevel=3";

/** The host's side of a Worker. */
export interface WorkerHost {
  post(message: FromMachine, transfer: ArrayBuffer[]): void;
  openSource(location: string, cache: string | undefined): AssetSource;
  /** Opens the disk of a box; `create` is true if it does not exist yet. */
  openDisk(
    location: string,
    options: { create: boolean; bytes: number; durability: "relaxed" | "strict" },
  ): StoredDisk | Promise<StoredDisk>;
}

/** Returns a function to call with each message from the owner. */
export function serveMachine(host: WorkerHost): (message: ToMachine) => void {
  let machine: Machine | undefined;
  let config: MachineConfig | undefined;
  let disk: StoredDisk | undefined;
  let opening: Promise<StoredDisk> | undefined;
  const emulator = deferred<WebAssembly.Module>();
  const diskConfig = deferred<DiskConfig>();
  let printed: number[] = [];
  let output: Uint8Array[] = [];

  const tellPrinted = () => {
    if (printed.length > 0)
      host.post({ type: "console", bytes: new Uint8Array(printed.slice(-CONSOLE_BYTES)) }, []);
    printed = [];
  };
  const end = (code: string, message: string, retryable = false) => {
    tellPrinted();
    host.post({ type: "ended", code, message, retryable }, []);
  };
  const failed = (thrown: unknown) => {
    const error = refusedPermission(thrown) ?? thrown;
    return isBoxRunError(error)
      ? end(error.code, error.message, error.retryable)
      : end("RUNTIME_ERROR", `the machine failed: ${messageOf(error)}`);
  };
  /** Reasons to pause. */
  const reasons = new Set<"asked" | "backlog">();
  const setPaused = (why: "asked" | "backlog", still: boolean) => {
    const before = reasons.size > 0;
    if (still) reasons.add(why);
    else reasons.delete(why);
    const now = reasons.size > 0;
    if (now !== before) void (now ? machine?.pause() : machine?.resume())?.catch(failed);
    // A pause that the owner asked for ends when the owner says so.
    if (before && !now && why === "backlog") host.post({ type: "resumed" }, []);
  };

  let backlogBytes = 0;
  const flush = () => {
    const chunks = output;
    output = [];
    for (const { byteLength } of chunks) backlogBytes += byteLength;
    if (backlogBytes > BACKLOG_BYTES) setPaused("backlog", true);
    host.post(
      chunks,
      chunks.map((chunk) => chunk.buffer as ArrayBuffer),
    );
  };
  const events = {
    // At once, and not when the machine ends: this Worker may end first.
    onConsole: (byte: number) => {
      if (printed.push(byte) === 1) queueMicrotask(tellPrinted);
    },
    onEnd: (reason: string) => end("RUNTIME_ERROR", reason),
    onFailure: failed,
    // All bytes that the guest writes within one slice of emulation leave as one message.
    onOutput: (bytes: Uint8Array) => {
      if (output.push(bytes) === 1) queueMicrotask(flush);
    },
  };

  let loadedBytes = 0;
  const reportBytes = (count: number) => {
    // One message for all that arrive at once.
    if (loadedBytes === 0) {
      queueMicrotask(() => {
        host.post({ type: "loaded", bytes: loadedBytes }, []);
        loadedBytes = 0;
      });
    }
    loadedBytes += count;
  };

  const start = async (given: MachineConfig) => {
    config = given;
    const assets = new Assets(host.openSource(given.assets, given.cache), given.manifest, reportBytes);
    const warnings: string[] = [];
    const listed = given.forSnapshot ? undefined : findSnapshot(given);
    const loading = listed && loadSnapshot(given, assets, listed);
    // A snapshot for a new disk contains its template.
    const template = given.disk !== null && listed?.disk !== given.disk ? assets.load(given.disk) : undefined;
    // Avoids unhandled rejections until these are awaited.
    loading?.catch(() => {});
    template?.catch(() => {});
    const [chunks, module, boxDisk] = await Promise.all([
      ImageChunks.open(assets, imageOf(given.manifest, given.image)),
      emulator.promise,
      diskConfig.promise.then((where) => openDisk(given, where)),
    ]);
    chunks.onTrouble = (trouble) => host.post({ type: "trouble", trouble }, []);
    const base = new ImageDisk(chunks, IMAGE_CHUNK_BYTES, (error) => chunks.noteUnreadable(error));
    const parts = { emulator: module, memoryMb: given.memoryMb, base };
    disk = boxDisk;
    let boot: "snapshot" | "cold" = "cold";
    let newDisk: Uint8Array | undefined;
    if (loading) {
      // The machine is created while its snapshot is still being inflated.
      const restored = await Machine.create({ ...parts, disk }, events);
      try {
        const snapshot = await loading;
        await template;
        host.post({ type: "starting" }, []);
        await restored.restore(snapshot);
        if (snapshot.disk.byteLength > 0) newDisk = snapshot.disk;
        machine = restored;
        boot = "snapshot";
      } catch (error) {
        // A cold boot makes the same box, only later.
        warnings.push(`booted cold, because ${listed?.name} cannot be used: ${messageOf(error)}`);
        await restored.stop();
      }
    }
    if (given.disk !== null) newDisk ??= await (template ?? assets.load(given.disk));
    // Not awaited: data that the guest reads is there at once, and its writes come later.
    if (newDisk) Promise.resolve(disk.writeAll(decodeTemplate(newDisk))).catch(failed);
    if (!machine) {
      const cold = await loadColdBoot(assets, given.forSnapshot ?? false);
      host.post({ type: "starting" }, []);
      machine = await Machine.create({ ...parts, disk, cold }, events);
    }
    chunks.patient = true;
    await machine.run();
    host.post({ type: "started", boot, warnings }, []);
  };

  const openDisk = (given: MachineConfig, where: DiskConfig): Promise<StoredDisk> => {
    opening = diskAt(given, where);
    return opening;
  };

  const diskAt = async (
    { disk: template, diskBytes: bytes }: MachineConfig,
    { location, contents, durability }: DiskConfig,
  ): Promise<StoredDisk> => {
    if (location !== null) return host.openDisk(location, { create: template !== null, bytes, durability });
    const memory = new MemoryDisk(bytes);
    if (contents) memory.writeAll(decodeTemplate(contents));
    return memory;
  };

  const stop = async () => {
    await machine?.stop();
    const contents = disk instanceof MemoryDisk ? disk.toTemplate() : null;
    await disk?.close();
    host.post({ type: "stopped", contents }, contents ? [contents.buffer as ArrayBuffer] : []);
  };

  const leave = async () => {
    await machine?.stop();
    await opening?.then((opened) => opened.close()).catch(() => {});
    host.post({ type: "left" }, []);
  };

  const move = async (where: DiskConfig) => {
    if (!machine || !config || !(disk instanceof MemoryDisk)) throw new Error("there is no disk to move");
    const target = await openDisk(config, where);
    // No event of the guest comes between these two, and its later writes go to the new disk.
    const stored = target.writeAll(disk.extents());
    machine.useDisk(target);
    disk = target;
    await stored;
    host.post({ type: "moved" }, []);
  };

  const save = async (withDisk: boolean) => {
    if (!machine || !config || !(disk instanceof MemoryDisk)) throw new Error("there is no machine to save");
    const snapshot = encodeSnapshot({
      ...(await machine.save()),
      fingerprint: await snapshotFingerprint(config, withDisk ? config.disk : null),
      disk: withDisk ? disk.toTemplate() : new Uint8Array(0),
    });
    host.post({ type: "saved", snapshot }, [snapshot.buffer as ArrayBuffer]);
  };

  return (message) => {
    if (message instanceof Uint8Array) return machine?.send(message);
    switch (message.type) {
      case "start":
        return void start(message.config).catch(failed);
      case "disk":
        return diskConfig.resolve(message);
      case "move":
        return void move(message).catch(failed);
      case "emulator":
        return emulator.resolve(message.module);
      case "save":
        return void save(message.withDisk).catch(failed);
      case "took":
        backlogBytes -= message.bytes;
        return backlogBytes <= BACKLOG_BYTES ? setPaused("backlog", false) : undefined;
      case "pause":
        return setPaused("asked", true);
      case "resume":
        return setPaused("asked", false);
      case "stop":
        return void stop().catch(failed);
      case "leave":
        return void leave();
    }
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Returns the fingerprint of a snapshot that would fit this machine. */
function snapshotFingerprint(
  { manifest, memoryMb, image }: MachineConfig,
  diskName: string | null,
): Promise<string> {
  const hash = (name: string) => manifest.files[name]?.rawSha256 ?? "";
  return fingerprint({
    emulator: hash("v86.wasm"),
    memoryMb,
    devices: DEVICE_SET,
    kernel: hash("kernel"),
    initramfs: hash("agent"),
    base: imageOf(manifest, image).baseSha256,
    disk: diskName === null ? "" : hash(diskName),
  });
}

/** Loads a snapshot. Rejects when it cannot be used. */
async function loadSnapshot(
  config: MachineConfig,
  assets: Assets,
  listed: ListedSnapshot,
): Promise<Snapshot> {
  const expected = await snapshotFingerprint(config, listed.disk);
  if (listed.fingerprint !== expected) throw new Error("it was made for another machine");
  return decodeSnapshot(await assets.load(listed.name), expected, config.memoryMb);
}

async function loadColdBoot(assets: Assets, forSnapshot: boolean) {
  const [kernel, agent, bios, vgaBios] = await Promise.all([
    assets.load("kernel"),
    assets.load("agent"),
    assets.load("bios"),
    assets.load("vgabios"),
  ]);
  // Zeroing freed memory halves a snapshot, but makes a machine that goes on from there commit all its memory.
  const cmdline = forSnapshot ? `${KERNEL_CMDLINE} init_on_free=1` : KERNEL_CMDLINE;
  return { kernel, bios, vgaBios, cmdline, initramfs: initramfs(agent) };
}
