import type {
  Backend,
  BackendInfo,
  BoxInfo,
  CreateProgress,
  ImageInfo,
  TransferProgress,
  VolumeSpec,
} from "../backend/backend.js";
import { invalid } from "../backend/errors.js";
import { parseBoxSpec, requireOptions } from "../backend/validate.js";
import { DEFAULT_GC_SECONDS } from "../contract/schemas.js";
import type { Command, ExecOptions } from "../exec/exec.js";
import type { ExecResult } from "../exec/execution.js";
import { following, untilAborted } from "../util/abort.js";
import { deferred } from "../util/deferred.js";
import { asyncDispose } from "../util/dispose.js";
import { pause } from "../util/timer.js";
import { BoxHandle } from "./box.js";

/** Between two looks at the list of a server, which does not tell of changes. */
const LOOK_AGAIN_MS = 1000;

/** What a box is to be. */
export interface CreateOptions {
  /** 1 to 63 letters, digits, "_", "." or "-". `getBox` takes it in place of the id. Default: none. */
  name?: string;
  /** Processors, as a server understands it; a local box always has one. Default 2. */
  cpu?: number;
  /** Memory of the machine, in MiB. Default 1024. A local box takes 96 to 2000, and starts fastest with 256 or 1024. */
  memoryMb?: number;
  /** Size of the box's own disk, in GiB. Default 8. A local box takes 1 to 64, and holds only what is written. */
  diskSizeGb?: number;
  /**
   * True: the box reaches the network. Local boxes cannot yet: names fail to resolve at once there, and only the box's own loopback works.
   * @default false
   * @throws {BoxRunError} UNSUPPORTED when it is true and the backend has no network for boxes (`capabilities.network` says why)
   */
  network?: boolean;
  /** Where commands start that name no other. Absolute; made if need be. Default "/root". */
  workdir?: string;
  /** For every command, on top of PATH, HOME, USER and LANG. */
  env?: Record<string, string>;
  volumes?: VolumeSpec[];
  /** Aborting it rejects at once with the signal's reason; no box is left behind. */
  signal?: AbortSignal;
  onProgress?: (progress: CreateProgress) => void;
}

/** Options of `run`: those of the box and those of the command. Its `env` and `workdir` are the box's. */
export type RunOptions = CreateOptions & Omit<ExecOptions, "env" | "workdir">;

/** A place where a client looked for a server. */
export interface Tried {
  /** "unix:/home/me/.boxrun/boxrun.sock", "http://127.0.0.1:9090". */
  place: string;
  /** What came of it: "connected", or why not. */
  outcome: string;
  /** Of an answer that refused us: 401, 403. */
  status?: number;
}

/** Which backend a client uses. */
export interface Connection {
  backend: Backend;
  /** Which one, in a word. */
  kind: "local" | "remote" | "custom";
  /** Why this one, in a sentence. */
  reason: string;
  /** Where a server was looked for, in this order. */
  tried: Tried[];
}

/**
 * The client over whichever backend it is given. `BoxRunClient` (index.ts) chooses one; this class only uses it.
 */
export class Client {
  private connection: Promise<Connection> | undefined;
  private readonly closing = new AbortController();

  constructor(private readonly connect: () => Promise<Connection>) {}

  /**
   * Which backend this client uses, and why. Choosing is done once: the answer never changes, and a server that is lost later is CONNECTION_FAILED,
   * never another place without your boxes.
   *
   * @example
   * const { kind, reason, tried } = await client.ready();   // "remote", "a BoxRun server answers at http://127.0.0.1:9090", [...]
   */
  async ready(): Promise<Omit<Connection, "backend">> {
    const { kind, reason, tried } = await this.open();
    return { kind, reason, tried };
  }

  /**
   * Creates a box and starts it.
   *
   * Throws VALIDATION_ERROR for a wrong option, NAME_ALREADY_EXISTS, IMAGE_PULL_FAILED when there is no such image or it cannot be had,
   * UNSUPPORTED for what this backend cannot do, the signal's reason.
   *
   * @example
   * await using box = await client.create("tiny", { memoryMb: 256, env: { GREETING: "hello" } });
   */
  async create(image: string, options: CreateOptions = {}): Promise<BoxHandle> {
    const { signal, onProgress, ...rest } = options;
    const spec = parseBoxSpec({ ...rest, image });
    signal?.throwIfAborted();
    const backend = await this.backend();
    const created = backend.createBox(spec, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
    // A box that comes after its caller has gone is nobody's.
    const removeLate = async (info: BoxInfo) => {
      if (signal?.aborted) await backend.removeBox(info.id, { force: true });
    };
    created.then(removeLate).catch(() => {});
    return new BoxHandle(backend, await untilAborted(created, signal), true);
  }

  /**
   * Creates a box, runs one command in it and removes it. Throws what `create` and `exec` throw: a removal that fails changes nothing of what came of the command.
   *
   * @example
   * const { stdout } = await client.run("tiny", "seq 10 | awk '{ sum += $1 } END { print sum }'");   // "55\n"
   */
  async run(image: string, cmd: Command, options: RunOptions = {}): Promise<ExecResult> {
    const { timeoutMs, stdin, stderr, onStdout, onStderr, maxOutputBytes, check, encoding, ...create } =
      options;
    const box = await this.create(image, create);
    const exec = {
      timeoutMs,
      stdin,
      stderr,
      onStdout,
      onStderr,
      maxOutputBytes,
      check,
      encoding,
      signal: create.signal,
    };
    try {
      return await box.exec(cmd, withoutUndefined(exec));
    } finally {
      const remove = () => box.remove({ force: true });
      const removed = remove()
        .catch(remove)
        .catch(() => {});
      if (!create.signal?.aborted) await removed;
    }
  }

  /** A box by its id or name. Throws BOX_NOT_FOUND. */
  async getBox(idOrName: string): Promise<BoxHandle> {
    if (typeof idOrName !== "string" || idOrName === "")
      throw invalid("the id or name of a box must not be empty");
    const backend = await this.backend();
    return new BoxHandle(backend, await backend.getBox(idOrName), false);
  }

  /**
   * All boxes, or those in one status ("creating", "running", "stopped", "error"), newest first; those of the same millisecond by id. The status "all" is no filter.
   *
   * @throws {BoxRunError} VALIDATION_ERROR for any other status
   */
  async listBoxes(filter: { status?: string } = {}): Promise<BoxInfo[]> {
    requireOptions(filter, { status: true });
    return (await this.backend()).listBoxes(filter);
  }

  /**
   * All boxes now, and again whenever one of them has changed: made, started, stopped, ended, removed, by this client or in another page or process. What
   * changes while you are at one list is in the next. Ends with the loop, or when the client is closed; rejects with the signal's reason. A server is asked
   * for its list every second.
   *
   * @example
   * for await (const boxes of client.watchBoxes()) show(boxes.map(({ name, status }) => `${name}: ${status}`));
   */
  async *watchBoxes(options: { signal?: AbortSignal } = {}): AsyncGenerator<BoxInfo[], void, undefined> {
    requireOptions(options, { signal: true });
    const { signal } = options;
    const backend = await this.backend();
    const closed = this.closing.signal;
    const { life, end } = following(signal, closed);
    const until = life.signal;
    let changed = deferred();
    let stop: (() => void) | undefined;
    try {
      stop = await backend.watchBoxes?.(() => changed.resolve());
      for (let seen = ""; ; ) {
        until.throwIfAborted();
        // Before the list is asked for: what changes meanwhile may not be in it.
        changed = deferred();
        const boxes = await untilAborted(backend.listBoxes({}), until);
        const now = JSON.stringify(boxes);
        if (now !== seen) yield boxes;
        seen = now;
        await (stop ? untilAborted(changed.promise, until) : pause(LOOK_AGAIN_MS, until));
      }
    } catch (error) {
      signal?.throwIfAborted();
      // Whatever a backend that is being closed says.
      if (!closed.aborted) throw error;
    } finally {
      end();
      stop?.();
    }
  }

  /**
   * Removes boxes that have been at rest, stopped or in status "error", for longer than `olderThan` seconds, with their disks. Resolves to how many. A box that cannot be read stays.
   * `olderThan` is 3600 by default.
   *
   * @example
   * const removed = await client.gc({ olderThan: 7 * 24 * 3600 });
   */
  async gc(options: { olderThan?: number } = {}): Promise<number> {
    requireOptions(options, { olderThan: true });
    const { olderThan = DEFAULT_GC_SECONDS } = options;
    if (typeof olderThan !== "number" || !(olderThan >= 0))
      throw invalid("olderThan must be a number of seconds, 0 or more");
    return (await this.backend()).gc({ olderThan });
  }

  /** What the backend is and what it can do. */
  async info(): Promise<BackendInfo> {
    return (await this.backend()).info();
  }

  /** The images that boxes can be made of. */
  async images(): Promise<ImageInfo[]> {
    return (await this.backend()).images();
  }

  /**
   * Fetches an image whole, so that its boxes need no network from then on. Without it, each part is fetched when a box first reads it.
   * Throws IMAGE_PULL_FAILED, the signal's reason, UNSUPPORTED over a server, which fetches its images by itself.
   *
   * @example
   * await client.pull("debian", { onProgress: ({ loadedBytes, totalBytes }) => console.log(loadedBytes, totalBytes) });
   */
  async pull(
    image: string,
    options: { signal?: AbortSignal; onProgress?: (progress: TransferProgress) => void } = {},
  ): Promise<void> {
    requireOptions(options, { signal: true, onProgress: true });
    options.signal?.throwIfAborted();
    const backend = await this.backend();
    return untilAborted(backend.pullImage(image, options), options.signal);
  }

  /** The box that a handle's `toJSON` stood for. Throws BOX_NOT_FOUND. */
  fromJSON(json: { id: string }): Promise<BoxHandle> {
    return this.getBox(json.id);
  }

  /** Ends all that this client runs on this machine. Idempotent; any other call throws afterwards. */
  async close(): Promise<void> {
    this.closing.abort();
    const connection = await this.connection?.catch(() => undefined);
    await connection?.backend.close();
  }

  /** The same as {@link close}. */
  [asyncDispose](): Promise<void> {
    return this.close();
  }

  private async backend(): Promise<Backend> {
    return (await this.open()).backend;
  }

  private open(): Promise<Connection> {
    if (this.closing.signal.aborted) throw invalid("this client was closed");
    if (!this.connection) {
      this.connection = this.connect();
      // What failed once, a part that did not load, may work the next time.
      this.connection.catch(() => {
        this.connection = undefined;
      });
    }
    return this.connection;
  }
}

function withoutUndefined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
