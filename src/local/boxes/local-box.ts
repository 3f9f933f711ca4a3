import type {
  BackendEvent,
  BoxInfo,
  Connection,
  ExecInfo,
  ExecSpec,
  NetworkLogEntry,
  NetworkOptions,
  PortInfo,
  Secrets,
  Terminal,
  TerminalSpec,
} from "../../backend/backend.js";
import { BoxRunError, unsupported } from "../../backend/errors.js";
import { requireAbsolute } from "../../backend/file-paths.js";
import { withoutNetwork } from "../../network/rules.js";
import type { ImageTrouble } from "../assets/image-chunks.js";
import { describeErrno } from "../guest/errno.js";
import type { Guest } from "../guest/guest.js";
import type { GuestMachine } from "../host/guest-machine.js";
import type { MachineHandle } from "../host/machine-handle.js";
import type { MachineConfig } from "../machine/messages.js";
import type { Release } from "../store/box-store.js";
import { type BoxRecord, describeRecord } from "../store/record.js";
import type { BootOptions, BoxContext } from "./box-context.js";
import { BASE_ENV, BoxExecutions } from "./box-executions.js";
import type { FilesContext } from "./box-files.js";
import { connectToPort, listPorts } from "./box-ports.js";
import { hostnameOf, setUp } from "./box-setup.js";
import { BoxSources } from "./box-sources.js";
import { BoxTerminals } from "./box-terminals.js";
import { type VolumeMount, volumeMounts } from "./box-volumes.js";
import { BoxWarnings } from "./box-warnings.js";
import { KILL_GRACE_MS, type LocalExecution } from "./local-execution.js";
import type { LocalNetwork } from "./local-network.js";
import { type Hold, heldEach, ProcessHold } from "./process-hold.js";
import { withoutAuthorities } from "./trust.js";
import { VolumePaths } from "./volume-paths.js";

/** A box that runs here: its lock, its machine, its guest and its executions. Once it has ended, a new object stands for the next run. */
export class LocalBox {
  private readonly machine: MachineHandle;
  private readonly guest: Guest;
  private readonly mounts: readonly VolumeMount[];
  private sources: BoxSources | undefined;
  /** Says what could not be written to the folders of the box when it ended. */
  private unwritten: BoxRunError | undefined;
  private readonly files: FilesContext;
  private readonly executions: BoxExecutions;
  private readonly terminals: BoxTerminals;
  private state: "booting" | "running" | "stopping" | "ended" = "booting";
  private bootedBy: NonNullable<BoxInfo["local"]>["boot"] = null;
  private readonly warnings: BoxWarnings;
  private network: LocalNetwork | undefined;
  private paused = false;
  private stopped: Promise<void> | undefined;
  private ending: Promise<void> | undefined;
  private writing: Promise<void> = Promise.resolve();
  private failure: BoxRunError | undefined;
  /** False until the lock is held. Until then nobody sees the box, and its creation may fail. */
  held = false;
  /** True when the box is being removed, and no longer visible. */
  removed = false;
  /** Keeps the process alive while `work` is pending, and then until its writes are stored. */
  readonly hold: Hold;

  /** Takes over `lock` and the machine, to release and to end them. */
  constructor(
    private record: BoxRecord,
    private readonly lock: Promise<Release>,
    private readonly owned: GuestMachine,
    private readonly context: BoxContext,
  ) {
    const onHeld = () => {
      this.held = true;
      context.onChanged();
    };
    // `boot` reports the error of the lock.
    lock.then(onHeld, () => {});
    this.guest = owned.guest;
    this.machine = owned.handle;
    this.warnings = new BoxWarnings(context.onChanged);
    this.guest.onUnstored = (errno) => this.warnings.setUnstored(describeErrno(errno));
    const { store, logLimitBytes } = context;
    const stored = () => (store.persistent === true ? this.guest.flushes.pending() : undefined);
    this.hold = new ProcessHold((held) => this.machine.hold(held), stored).during;
    this.mounts = volumeMounts(record.spec.volumes, context.volumes);
    this.files = { guest: this.guest, hold: this.hold, volumes: new VolumePaths(this.machine, this.mounts) };
    this.executions = new BoxExecutions(record, this.env, this.guest, store, logLimitBytes, this.giveUp);
    this.terminals = new BoxTerminals(this.guest, this.hold, this.giveUp);
    owned.owner = {
      onLoaded: () => {},
      onStarting: () => {},
      onTrouble: (trouble) => this.noteTrouble(trouble),
      onEnded: (error) => this.fail(error),
    };
  }

  get id(): string {
    return this.record.id;
  }

  /** Name by which the box knows itself, and its LAN knows it. */
  get hostname(): string {
    return hostnameOf(this.record);
  }

  /** LAN that the box is on while it runs. */
  get lan(): string | undefined {
    return this.state === "running" ? this.network?.lan : undefined;
  }

  get info(): BoxInfo {
    const { store } = this.context;
    const info = describeRecord(this.record, this.state !== "ended", store.persistent === true);
    // A box that is being started takes no commands yet.
    if (this.state === "booting") info.status = "creating";
    const hosts = this.network?.secretHosts;
    const now = this.state !== "ended" && {
      boot: this.bootedBy,
      ...(hosts && { secretHosts: hosts }),
      warnings: this.warnings.list(),
    };
    return structuredClone({ ...info, local: { ...info.local!, ...now } });
  }

  /** Set once the box is being ended; resolves when its lock is released. */
  get ended(): Promise<void> | undefined {
    return this.ending;
  }

  /** Records the image that the box is made of. */
  describeImage(image: NonNullable<BoxRecord["image"]>): void {
    this.record = { ...this.record, image };
  }

  /** Starts the machine and sets up the box in it. If it rejects, the caller must call {@link end}. */
  async boot(
    config: MachineConfig,
    emulator: Promise<WebAssembly.Module>,
    { onProgress, onLoaded, secrets, volumes }: BootOptions,
  ): Promise<void> {
    const { store, durability } = this.context;
    const { spec } = this.record;
    this.owned.owner = {
      ...this.owned.owner,
      onLoaded,
      onStarting: () => onProgress({ phase: "boot" }),
    };
    const started = this.machine.start(config, emulator);
    // Avoids an unhandled rejection until it is awaited.
    started.catch(() => {});
    await this.lock;
    const contents = config.disk === null ? store.keptDisk(this.id) : undefined;
    const stored = this.machine.giveDisk({
      location: store.diskLocation(this.id),
      durability,
      ...(contents && { contents }),
    });
    stored.catch(() => {});
    const { boot, warnings } = await started;
    await stored;
    if (boot === "cold") await this.guest.awaitHello();
    onProgress({ phase: "setup" });
    this.sources = await BoxSources.open(this.mounts, volumes);
    // The box was ended meanwhile.
    if (this.ending) this.sources.close();
    await this.sources.keep(store, this.id);
    await setUp(this.owned, this.record, this.mounts, this.sources.originals);
    if (spec.network !== false) await this.openNetwork(spec.network, secrets);
    const notes = [store.persistent, this.network?.note].filter((note) => typeof note === "string");
    this.bootedBy = this.owned.warm ? "warm" : boot;
    this.warnings.setNotes([...warnings, ...notes]);
    await this.write({ made: true, startedAt: new Date().toISOString(), stoppedAt: null, error: null });
    if (this.failure) throw this.failure;
    // The box was ended while the record was written.
    if (this.ending) throw new BoxRunError("BOX_NOT_RUNNING", `box ${this.id} was ended`);
    this.state = "running";
    this.context.onChanged();
    this.setPaused(this.context.isPaused());
    onProgress({ phase: "ready" });
  }

  /** Pauses or resumes the machine, with the clocks of everything that runs in it. */
  setPaused(paused: boolean): void {
    if (this.state !== "running" || paused === this.paused) return;
    this.paused = paused;
    this.guest.clock.setPaused(paused);
    this.machine.pause(paused);
    // No time has passed for the guest.
    if (!paused) this.guest.setClock();
  }

  startExec(spec: ExecSpec): Promise<ExecInfo> {
    this.requireRunning();
    if (spec.workdir !== null) requireAbsolute(spec.workdir, "workdir");
    return this.hold(() => this.executions.start(spec));
  }

  /** Starts a shell on a terminal. It ends with the box. */
  attach(spec: TerminalSpec, signal: AbortSignal | undefined): Promise<Terminal> {
    this.requireRunning();
    return this.terminals.start({ ...spec, workdir: this.record.spec.workdir, env: this.env() }, signal);
  }

  /** Finds an execution of this run of the box. */
  execution(execId: string): LocalExecution | undefined {
    return this.executions.get(execId);
  }

  listExecs(): ExecInfo[] {
    return this.executions.list();
  }

  events(execution: LocalExecution, after: number, signal?: AbortSignal): AsyncGenerator<BackendEvent, void> {
    return heldEach(this.hold, execution.events(after, signal));
  }

  /** Returns what the functions of box-files.ts and box-watch.ts need. @throws {BoxRunError} BOX_NOT_RUNNING */
  useFiles(): FilesContext {
    this.requireRunning();
    return this.files;
  }

  connect(port: number, signal?: AbortSignal): Promise<Connection> {
    this.requireRunning();
    return connectToPort(this.guest, this.hold, port, signal);
  }

  listPorts(signal?: AbortSignal): Promise<PortInfo[]> {
    this.requireRunning();
    return listPorts(this.guest, this.hold, signal);
  }

  /** Replaces the rules of the box's network, and keeps them for the next start. */
  async updateNetwork(network: true | NetworkOptions): Promise<void> {
    this.openedNetwork().update(network);
    await this.write({ spec: { ...this.record.spec, network } });
    this.context.onChanged();
  }

  /** Lists the last connections of the box, oldest first. */
  networkLog(): NetworkLogEntry[] {
    return this.openedNetwork().log();
  }

  private openedNetwork(): LocalNetwork {
    this.requireRunning();
    if (!this.network) throw withoutNetwork(this.id);
    return this.network;
  }

  /** Opens the network. A box whose network cannot be opened does not run. */
  private async openNetwork(network: true | NetworkOptions, secrets: Secrets | undefined): Promise<void> {
    const { network: context } = this.context;
    if (context === undefined) throw unsupported("network: these boxes have no way out");
    const { LocalNetwork } = await import("./local-network.js");
    this.network = await LocalNetwork.open(this.owned, network, context, secrets);
    // A box that has been started before may have lost the list by itself, and starts all the same.
    if (!this.network.hasAuthorities && !this.record.made) throw withoutAuthorities(this.record.spec.image);
    // The box was ended meanwhile.
    if (this.ending) this.network.close();
  }

  /**
   * Ends all commands, unmounts the disk and releases the box.
   *
   * @throws {BoxRunError} STORAGE_FULL or RUNTIME_ERROR, with the box stopped all the same, when its folders did not take what it wrote
   * @throws {BoxRunError} RUNTIME_ERROR, with the box stopped all the same, when the guest does not shut down
   */
  async stop(): Promise<void> {
    this.requireRunning();
    this.setPaused(false);
    this.state = "stopping";
    this.stopped = this.shutDown();
    return this.stopped;
  }

  /** Set once the box is being stopped. */
  get stopping(): Promise<void> | undefined {
    return this.stopped;
  }

  private async shutDown(): Promise<void> {
    this.executions.expectEnd("the box was stopped");
    this.terminals.closeAll();
    let failed: unknown;
    try {
      await this.hold(async () => {
        await this.guest.shutdown(KILL_GRACE_MS);
        const contents = await this.machine.stop();
        if (contents) this.context.store.keepDisk(this.id, contents);
      });
    } catch (error) {
      failed = error;
    }
    await this.end(new BoxRunError("BOX_NOT_RUNNING", `box ${this.id} was stopped`), {
      stoppedAt: new Date().toISOString(),
    });
    if (this.unwritten && !this.failure && !this.removed) throw this.unwritten;
    if (failed === undefined || this.failure || this.removed) return;
    const why = failed instanceof Error ? failed.message : String(failed);
    throw new BoxRunError(
      "RUNTIME_ERROR",
      `box ${this.id} was switched off because its guest did not shut down: ${why}`,
      {
        cause: failed,
        hint: "start it again; data that its programs had not synced may be lost",
      },
    );
  }

  /**
   * Ends the machine, running or not, changes the record and releases the box. Pending calls reject with `error`. Idempotent: later calls
   * wait for the first.
   */
  end(error: BoxRunError, change: Partial<BoxRecord> = {}): Promise<void> {
    if (!this.ending) {
      this.record = { ...this.record, ...change };
      this.ending = this.finish(error, () => this.write());
    }
    return this.ending;
  }

  /** Ends the machine, running or not, and removes everything that is stored of the box. */
  remove(): Promise<void> {
    const error = new BoxRunError("BOX_NOT_FOUND", `box ${this.id} was removed`);
    this.removed = true;
    this.ending ??= this.finish(error, () => this.context.store.remove(this.id));
    return this.ending;
  }

  private async finish(error: BoxRunError, settle: () => Promise<void>): Promise<void> {
    this.state = "ended";
    this.network?.close();
    // Nobody may write to the disk after the lock is released.
    await this.machine.kill(error);
    this.guest.lose(error);
    this.unwritten = await this.sources?.end();
    await this.executions.flush();
    // A write after the lock is released would overwrite another owner's.
    await this.writing.catch(() => {});
    const release = await this.lock.catch(() => undefined);
    let settled = !release;
    try {
      if (release) await settle();
      settled = true;
    } finally {
      // If the record could not be written, on a full disk, whoever finds the box next corrects it.
      await release?.().catch(() => {});
      this.context.onEnded(settled || this.removed ? undefined : this.record);
    }
    if (this.removed && this.unwritten) throw this.unwritten;
  }

  private noteTrouble(trouble: ImageTrouble): void {
    const why = trouble.offline ?? trouble.damaged;
    // A box whose image cannot be read must not be created.
    if (why !== null && this.state === "booting") {
      const retryable = trouble.offline !== null;
      return this.machine.end(new BoxRunError("IMAGE_PULL_FAILED", why, { retryable }));
    }
    this.warnings.setTrouble(trouble);
  }

  private fail(error: BoxRunError): void {
    this.failure = error;
    // The caller handles a boot that fails: a box that was never created leaves nothing behind.
    if (this.state === "booting") return;
    const { code, message } = error;
    this.end(error, { stoppedAt: new Date().toISOString(), error: { code, message } }).catch(() => {});
  }

  private async write(change: Partial<BoxRecord> = {}): Promise<void> {
    this.record = { ...this.record, ...change };
    const { record } = this;
    // One after the other: the last one stays.
    this.writing = this.writing.catch(() => {}).then(() => this.context.store.writeRecord(this.id, record));
    await this.writing;
  }

  /** Returns the environment of the box's commands, as far as it is not their own. */
  private readonly env = (): Record<string, string> => ({
    ...BASE_ENV,
    ...this.network?.env,
    ...this.record.spec.env,
  });

  private readonly giveUp = (what: string): void =>
    this.machine.end(new BoxRunError("RUNTIME_ERROR", `${what}; its machine was stopped`));

  private requireRunning(): void {
    if (this.state === "running") return;
    const what = this.state === "booting" ? "is still starting" : "is not running";
    const why = this.failure ? `: ${this.failure.message}` : "";
    throw new BoxRunError("BOX_NOT_RUNNING", `box ${this.id} ${what}${why}`);
  }
}
