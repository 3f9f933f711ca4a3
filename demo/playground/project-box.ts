import type { BoxHandle, BoxRunClient, CreateProgress } from "boxrun";
import { BoxRunError } from "boxrun";
import type { MemoryVolume } from "boxrun/local";
import type { ProjectRecord } from "./project-store.js";

/** Place of a project's files in its box. */
export const FOLDER = "/work";
/** Python prints line by line, and leaves no files of its own among those of the project. */
const ENVIRONMENT = { PYTHONUNBUFFERED: "1", PYTHONDONTWRITEBYTECODE: "1" };

export interface BoxEvents {
  /** Its state has changed: it starts, runs, or has stopped. */
  state(): void;
  /** A step of a start. */
  progress(step: CreateProgress): void;
  /** The ports on which servers listen, lowest first. None when the box stops. */
  ports(ports: readonly number[]): void;
  error(error: unknown): void;
}

/** The box of a project. It is made when it is first needed, and started again with the same disk after that. */
export class ProjectBox {
  private box: BoxHandle | undefined;
  private starting: Promise<BoxHandle> | undefined;
  /** Ends what belongs to one run of the box. */
  private run = new AbortController();
  private closed = false;

  constructor(
    private readonly client: BoxRunClient,
    private readonly record: ProjectRecord,
    private readonly source: MemoryVolume,
    private readonly onCreate: () => Promise<void>,
    private readonly on: BoxEvents,
  ) {}

  get isStarting(): boolean {
    return this.starting !== undefined;
  }

  /** The box, if it runs. */
  get running(): BoxHandle | undefined {
    return this.box?.info.status === "running" && !this.starting ? this.box : undefined;
  }

  /** The box, running or not; undefined if none was made yet. */
  get handle(): BoxHandle | undefined {
    return this.box;
  }

  /** Finds the box that was made before. */
  async find(): Promise<void> {
    if (this.record.boxId === undefined) return;
    const { boxId } = this.record;
    this.box = await this.client.getBox(boxId).catch((error) => {
      if (error instanceof BoxRunError && error.code === "BOX_NOT_FOUND") return undefined;
      throw error;
    });
  }

  /** Resolves to the box once it runs: makes it, or starts it, if need be. */
  ready(): Promise<BoxHandle> {
    if (this.running) return Promise.resolve(this.running);
    this.starting ??= this.start().finally(() => {
      this.starting = undefined;
      this.on.state();
    });
    this.on.state();
    return this.starting;
  }

  async stop(): Promise<void> {
    this.endRun();
    await this.box?.stop();
    this.on.state();
  }

  async remove(): Promise<void> {
    this.closed = true;
    this.endRun();
    await this.starting?.catch(() => {});
    await this.box?.remove({ force: true });
    this.box = undefined;
  }

  /** Leaves the project: its box stops, since its files go with it. */
  async close(): Promise<void> {
    this.closed = true;
    this.endRun();
    await this.starting?.catch(() => {});
    if (this.box?.info.status === "running") await this.box.stop();
  }

  /** Lets programs of the box use the network or not, at once if it runs. */
  async setNetwork(allowed: boolean): Promise<void> {
    this.record.network = allowed;
    await this.running?.network.update(allowed || { allow: [] });
  }

  /** Takes note of what has become of the box, as when it has crashed. */
  async refresh(): Promise<void> {
    if (!this.box || this.starting) return;
    const before = this.box.info.status;
    await this.find();
    if (this.box?.info.status === before) return;
    if (this.box?.info.status !== "running") this.endRun();
    this.on.state();
  }

  private endRun(): void {
    this.run.abort();
    this.on.ports([]);
  }

  private async start(): Promise<BoxHandle> {
    const { record, source } = this;
    const volumes = [{ source, guestPath: FOLDER }];
    const onProgress = (step: CreateProgress) => this.on.progress(step);
    if (!this.box) {
      // Without rules there would be no network to switch on later.
      const network = record.network || { allow: [] };
      const { image, memoryMb } = record;
      this.box = await this.client.create(image, {
        memoryMb,
        volumes,
        workdir: FOLDER,
        env: ENVIRONMENT,
        network,
        onProgress,
      });
      record.boxId = this.box.id;
      await this.onCreate();
    } else {
      await this.box.start({ volumes, onProgress });
      await this.box.network.update(record.network || { allow: [] });
    }
    this.run = new AbortController();
    if (this.closed) await this.box.stop();
    else void this.followPorts(this.box, this.run.signal);
    return this.box;
  }

  private async followPorts(box: BoxHandle, signal: AbortSignal): Promise<void> {
    try {
      for await (const ports of box.ports.watch({ signal })) this.on.ports(ports.map(({ port }) => port));
    } catch (error) {
      if (signal.aborted) return;
      this.on.ports([]);
      // The end of the box is seen otherwise.
      if ((error as BoxRunError).code !== "BOX_NOT_RUNNING") this.on.error(error);
    }
  }
}
