import {
  BoxRunError,
  ERROR_CODES,
  type ErrorCode,
  isBoxRunError,
  refusedPermission,
} from "../../backend/errors.js";
import { type Deferred, deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import type { ImageTrouble } from "../assets/image-chunks.js";
import {
  type DiskConfig,
  type FromMachine,
  type MachineConfig,
  packetCost,
  type VolumeConfig,
} from "../machine/messages.js";
import type { TreeFeed, TreeOriginal } from "../volumes/tree-original.js";
import type { VolumeAnswer, VolumeCall } from "../volumes/volume-calls.js";
import type { Host, MachineWorker } from "./host.js";

/** Time from the start of a Worker to a running machine, including a cold boot on a slow, busy host. */
const START_DEADLINE_MS = 120_000;

/** Time to close the disk. A busy emulator does it between two slices. */
const STOP_DEADLINE_MS = 30_000;

/** Time for one call on a volume: a little more than a file system of the host gets. */
const VOLUME_DEADLINE_MS = 40_000;

/** Number of characters that are kept of the guest's console, for the message when the machine ends. */
const CONSOLE_CHARACTERS = 4096;
const CONSOLE_LINES = 20;

/** Interval, in bytes of output or of packets, at which the machine is told that they were consumed. */
const TOOK_STEP_BYTES = 2 ** 20;

/** Receiver of the events of a machine. */
export interface MachineHandlers {
  /** Takes bytes from the agent. An error that it throws ends the machine. */
  onOutput(bytes: Uint8Array): void;
  /** Takes IPv4 packets from the guest, after {@link MachineHandle.openNetwork}. They are as they were sent, by whoever is root. An error that it throws ends the machine. */
  onPackets(packets: Uint8Array[]): void;
  /** Reports compressed bytes of assets that have arrived. */
  onLoaded(bytes: number): void;
  /** Reports that the assets have arrived and the machine starts. */
  onStarting(): void;
  /** Reports that the machine goes on after it had paused by itself: the guest's date is behind. */
  onResumed(): void;
  /** Reports that the guest cannot read a part of the image, or can again. */
  onTrouble(trouble: ImageTrouble): void;
  /** Reports, once, that the machine has ended without having been asked to. */
  onEnded(error: BoxRunError): void;
}

/** The way in which a machine came up. */
interface Started {
  boot: "snapshot" | "cold";
  warnings: string[];
}

const NO_WORKER: MachineWorker = { post: () => {}, terminate: async () => {}, hold: () => {} };

/** A machine in its Worker, as the caller's thread sees it. It owns the Worker. */
export class MachineHandle {
  private readonly worker: MachineWorker;
  private readonly started = deferred<Started>();
  private starting: Promise<Started> | undefined;
  private hasDisk = false;
  private moved: Deferred<void> | undefined;
  private volumes: Deferred<void> | undefined;
  private readonly volumeCalls = new Map<number, Deferred<VolumeAnswer>>();
  private nextCall = 1;
  /** Feeds of the replicas of volumes in memory. */
  private feeds: readonly (TreeFeed | undefined)[] = [];
  private saved: Deferred<Uint8Array> | undefined;
  private stopped: Deferred<Uint8Array | null> | undefined;
  private terminated: Promise<void> | undefined;
  private over = false;
  private takenBytes = 0;
  private takenPacketBytes = 0;
  private readonly decoder = new TextDecoder();
  private console = "";

  constructor(
    host: Host,
    private readonly handlers: MachineHandlers,
  ) {
    const fail = (cause: Error) =>
      this.end(
        (isBoxRunError(cause) ? cause : refusedPermission(cause)) ??
          new BoxRunError("RUNTIME_ERROR", `the machine's Worker failed: ${cause.message}`, { cause }),
      );
    try {
      this.worker = host.startWorker((message) => this.receive(message), fail);
    } catch (cause) {
      // Reported like a failure a moment later: whoever creates the box has its lock and record to release first.
      this.worker = NO_WORKER;
      queueMicrotask(() => fail(cause as Error));
    }
  }

  /** Starts the machine, or waits for an earlier start. Rejects, with the machine gone, when it cannot start. */
  start(config: MachineConfig, emulator: Promise<WebAssembly.Module>): Promise<Started> {
    this.starting ??= this.bringUp(config, emulator);
    return this.starting;
  }

  private bringUp(config: MachineConfig, emulator: Promise<WebAssembly.Module>): Promise<Started> {
    this.worker.post({ type: "start", config });
    emulator.then(
      (module) => this.over || this.worker.post({ type: "emulator", module }),
      (error) => this.end(error),
    );
    const stop = startTimer(START_DEADLINE_MS, () =>
      this.end(new BoxRunError("RUNTIME_ERROR", `the machine did not start within ${START_DEADLINE_MS} ms`)),
    );
    return this.started.promise.finally(stop);
  }

  /**
   * Names the place of the disk, for which the machine waits. A second call replaces the disk in memory that the machine began with: its contents are copied,
   * and the promise resolves once they are stored.
   */
  async giveDisk(disk: DiskConfig): Promise<void> {
    // If the machine is still starting, there is nothing to move yet.
    if (this.hasDisk || this.over) await this.started.promise;
    if (this.over) throw stoppedError();
    this.worker.post({ type: this.hasDisk ? "move" : "disk", ...disk });
    if (!this.hasDisk) {
      this.hasDisk = true;
      return;
    }
    this.moved = deferred();
    await this.moved.promise;
  }

  /**
   * Opens volumes for the guest, which may mount them from then on. `originals` has the trees of those in memory, by their places in the list.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when one cannot be opened
   */
  async openVolumes(
    volumes: readonly VolumeConfig[],
    originals: readonly (TreeOriginal | undefined)[] = [],
  ): Promise<void> {
    if (this.over) throw stoppedError();
    this.volumes = deferred();
    this.worker.post({ type: "volumes", volumes });
    this.feeds = originals.map((original, volume) =>
      original?.serve({
        readonly: volumes[volume]!.readonly,
        post: (message, transfer) => this.worker.post({ type: "tree", volume, message }, transfer),
      }),
    );
    await this.volumes.promise;
  }

  /** Does something with a path in a volume. Rejects when the machine ends, or does not answer in time. */
  async callVolume(call: VolumeCall): Promise<VolumeAnswer> {
    if (this.over) throw stoppedError();
    const id = this.nextCall++;
    const answer = deferred<VolumeAnswer>();
    this.volumeCalls.set(id, answer);
    const stop = startTimer(VOLUME_DEADLINE_MS, () =>
      answer.reject(
        new BoxRunError("RUNTIME_ERROR", `a volume did not answer within ${VOLUME_DEADLINE_MS} ms`),
      ),
    );
    this.worker.post({ type: "volume-call", id, call });
    return answer.promise.finally(() => {
      stop();
      this.volumeCalls.delete(id);
    });
  }

  /** Ends the machine of a guest that has been shut down. Resolves to the contents of a disk in memory. */
  async stop(): Promise<Uint8Array | null> {
    this.stopped = deferred();
    this.worker.post({ type: "stop" });
    const late = deferred<never>();
    const stop = startTimer(STOP_DEADLINE_MS, () =>
      late.reject(new BoxRunError("RUNTIME_ERROR", `the machine did not stop within ${STOP_DEADLINE_MS} ms`)),
    );
    return Promise.race([this.stopped.promise, late.promise]).finally(stop);
  }

  send(bytes: Uint8Array): void {
    if (!this.over) this.worker.post(bytes, [bytes.buffer as ArrayBuffer]);
  }

  /** Asks for the guest's packets, which are dropped until then. */
  openNetwork(): void {
    if (!this.over) this.worker.post({ type: "network" });
  }

  /** Sends IP packets to the guest. Their buffers are transferred. Beyond 32 MB that the guest has no room for, the oldest are dropped. */
  sendPackets(packets: Uint8Array[]): void {
    const buffers = new Set(packets.map(({ buffer }) => buffer as ArrayBuffer));
    if (!this.over) this.worker.post({ type: "packets", packets }, [...buffers]);
  }

  /** Returns the bytes of a boot image of the machine as it is now: for boxes that begin with its disk, or for any. */
  save(options: { withDisk: boolean }): Promise<Uint8Array> {
    this.saved = deferred();
    this.worker.post({ type: "save", ...options });
    return this.saved.promise;
  }

  /** Pauses the machine; `false` resumes it. */
  pause(paused: boolean): void {
    if (!this.over) this.worker.post({ type: paused ? "pause" : "resume" });
  }

  hold(held: boolean): void {
    if (!this.over) this.worker.hold(held);
  }

  /** Ends the Worker at once, and resolves when it is gone: nothing writes to the disk any more. What is pending rejects with `error`. Idempotent. */
  kill(error = stoppedError()): Promise<void> {
    this.terminated ??= this.terminate(error);
    return this.terminated;
  }

  private terminate(error: BoxRunError): Promise<void> {
    this.over = true;
    const gone = this.worker.terminate();
    for (const feed of this.feeds) feed?.close();
    this.started.reject(error);
    this.moved?.reject(error);
    this.volumes?.reject(error);
    for (const call of this.volumeCalls.values()) call.reject(error);
    this.saved?.reject(error);
    this.stopped?.reject(error);
    return gone;
  }

  /** Ends a machine that has failed, and reports to the owner why, with the last lines of its console. */
  end(why: BoxRunError): void {
    if (this.over) return;
    const error = withConsole(why, this.console);
    this.started.reject(error);
    this.moved?.reject(error);
    this.volumes?.reject(error);
    for (const call of this.volumeCalls.values()) call.reject(error);
    this.saved?.reject(error);
    this.stopped?.reject(error);
    void this.kill();
    this.handlers.onEnded(error);
  }

  private receive(message: FromMachine): void {
    if (this.over) return;
    if (Array.isArray(message)) return this.receiveOutput(message);
    switch (message.type) {
      case "packets":
        return this.receivePackets(message.packets);
      case "loaded":
        return this.handlers.onLoaded(message.bytes);
      case "starting":
        return this.handlers.onStarting();
      case "started":
        return this.started.resolve(message);
      case "moved":
        return this.moved?.resolve();
      case "volumes":
        return message.failure ? this.volumes?.reject(errorOf(message.failure)) : this.volumes?.resolve();
      case "volume-answer":
        return this.volumeCalls.get(message.id)?.resolve(message.answer);
      case "tree":
        return this.feeds[message.volume]?.receive(message.message);
      case "saved":
        return this.saved?.resolve(message.bootImage);
      case "stopped":
        return this.stopped?.resolve(message.contents);
      case "console":
        this.console += this.decoder.decode(message.bytes, { stream: true });
        this.console = this.console.slice(-CONSOLE_CHARACTERS);
        return;
      case "resumed":
        return this.handlers.onResumed();
      case "trouble":
        return this.handlers.onTrouble(message.trouble);
      case "ended":
        return this.end(errorOf(message));
    }
  }

  private receivePackets(packets: Uint8Array[]): void {
    for (const packet of packets) this.takenPacketBytes += packetCost(packet);
    try {
      this.handlers.onPackets(packets);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      return this.end(new BoxRunError("RUNTIME_ERROR", `the box's network failed: ${why}`, { cause }));
    }
    if (this.takenPacketBytes < TOOK_STEP_BYTES || this.over) return;
    this.worker.post({ type: "took-packets", bytes: this.takenPacketBytes });
    this.takenPacketBytes = 0;
  }

  private receiveOutput(chunks: Uint8Array[]): void {
    for (const { byteLength } of chunks) this.takenBytes += byteLength;
    try {
      for (const chunk of chunks) this.handlers.onOutput(chunk);
      if (this.takenBytes < TOOK_STEP_BYTES || this.over) return;
      this.worker.post({ type: "took", bytes: this.takenBytes });
      this.takenBytes = 0;
    } catch (cause) {
      if (isBoxRunError(cause)) return this.end(cause);
      const why = cause instanceof Error ? cause.message : String(cause);
      this.end(
        new BoxRunError("PROTOCOL_ERROR", `the guest broke the protocol and was ended: ${why}`, {
          cause,
        }),
      );
    }
  }
}

/** Returns the error that a Worker has reported. */
function errorOf(reported: { code: string; message: string; retryable?: boolean }): BoxRunError {
  const code = ERROR_CODES.find((known) => known === reported.code) ?? ("RUNTIME_ERROR" satisfies ErrorCode);
  return new BoxRunError(code, reported.message, { retryable: reported.retryable ?? false });
}

function withConsole(error: BoxRunError, console: string): BoxRunError {
  const lines = console.trim().split("\n").slice(-CONSOLE_LINES);
  if (console.trim() === "") return error;
  const { code, message, retryable, cause } = error;
  return new BoxRunError(code, `${message}. Last console output:\n${lines.join("\n")}`, {
    retryable,
    cause,
  });
}

function stoppedError(): BoxRunError {
  return new BoxRunError("BOX_NOT_RUNNING", "the machine was stopped");
}
