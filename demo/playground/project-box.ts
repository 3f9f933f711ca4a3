import { type BoxHandle, type BoxRunClient, type CreateProgress, isBoxRunError } from "boxrun";
import type { MemoryVolume } from "boxrun/local";
import type { ProjectRecord } from "./project-store.js";

/** Place of a project's files in its box. */
const FOLDER = "/work";
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

/** The box of a project, which has the project's id as name. It is made when it is first needed, and started again with the same disk after that. */
export class ProjectBox {
  private box: BoxHandle | undefined;
  private starting: Promise<BoxHandle> | undefined;
  /** Ends what belongs to one run of the box. */
  private run = new AbortController();
  private isClosed = false;

  constructor(
    private readonly client: BoxRunClient,
    private readonly record: ProjectRecord,
    private readonly source: MemoryVolume,
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

  /** Finds the box, if it was made before and is still there. */
  async find(): Promise<void> {
    this.box = await this.client.getBox(this.record.id).catch((error) => {
      if (isBoxRunError(error) && error.code === "BOX_NOT_FOUND") return undefined;
      throw error;
    });
  }

  /** Resolves to the box once it runs: makes it, or starts it, if need be. Rejects with an AbortError when the project is closed meanwhile. */
  ready(): Promise<BoxHandle> {
    if (this.isClosed) return Promise.reject(closed());
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

  /** Leaves the project and removes its box. */
  async remove(): Promise<void> {
    await this.end();
    await this.box?.remove({ force: true });
  }

  /** Leaves the project. Its box stops, since its files go with it. */
  async close(): Promise<void> {
    await this.end();
    if (this.box?.info.status === "running") await this.box.stop();
  }

  /** Lets programs of the box use the network or not, at once if it runs. */
  async setNetwork(allowed: boolean): Promise<void> {
    await this.running?.network.update(allowed || { allow: [] });
    this.record.network = allowed;
  }

  /** Takes note of what has become of the box, as when it has crashed. */
  async refresh(): Promise<void> {
    if (!this.box || this.starting || this.isClosed) return;
    const before = this.box.info.status;
    await this.find();
    if (this.box?.info.status === before) return;
    if (this.box?.info.status !== "running") this.endRun();
    this.on.state();
  }

  private async start(): Promise<BoxHandle> {
    const { record, source } = this;
    const volumes = [{ source, guestPath: FOLDER }];
    const onProgress = (step: CreateProgress) => this.on.progress(step);
    const { capabilities } = await this.client.info();
    if (this.box) await this.box.start({ volumes, onProgress });
    else {
      const { id: name, image, memoryMb } = record;
      const env = ENVIRONMENT;
      // Without rules there would be no network to switch on later.
      const network = capabilities.network === true && { allow: [] };
      this.box = await this.client.create(image, {
        ...{ name, memoryMb, volumes, workdir: FOLDER, env, network },
        onProgress,
      });
    }
    // The switch may have been used meanwhile.
    if (capabilities.network === true) await this.box.network.update(record.network || { allow: [] });
    if (this.isClosed) throw closed();
    this.run = new AbortController();
    void this.followPorts(this.box, this.run.signal);
    return this.box;
  }

  private async end(): Promise<void> {
    this.isClosed = true;
    this.endRun();
    await this.starting?.catch(() => {});
  }

  private endRun(): void {
    this.run.abort();
    this.on.ports([]);
  }

  private async followPorts(box: BoxHandle, signal: AbortSignal): Promise<void> {
    try {
      for await (const ports of box.ports.watch({ signal })) this.on.ports(ports.map(({ port }) => port));
    } catch (error) {
      if (signal.aborted) return;
      this.on.ports([]);
      // The end of the box is seen otherwise.
      if (!isBoxRunError(error) || error.code !== "BOX_NOT_RUNNING") this.on.error(error);
    }
  }
}

const closed = () => new DOMException("the project was closed", "AbortError");
