import type { Backend, BackendInfo, BoxInfo, ImageInfo, TransferProgress } from "../backend/backend.js";
import { type CallOptions, callOptions, withSignal } from "../backend/call.js";
import { invalid } from "../backend/errors.js";
import { parseBoxSpec, requireObject, requireOptions, requireSignal, shown } from "../backend/validate.js";
import { DEFAULT_GC_SECONDS } from "../contract/schemas.js";
import { type Command, type CommandArguments, commandAndOptions } from "../exec/arguments.js";
import type { ExecResult } from "../exec/result.js";
import { following, untilAborted } from "../util/abort.js";
import { deferred } from "../util/deferred.js";
import { asyncDispose } from "../util/dispose.js";
import { pause } from "../util/timer.js";
import { BoxHandle } from "./box.js";
import type { Connection, CreateOptions, ListOptions, RunOptions } from "./client-options.js";
import { runInBox } from "./run-in-box.js";

/** Interval of the polls of a server's list: a server does not notify of changes. */
const LOOK_AGAIN_MS = 1000;

/**
 * The methods of {@link BoxRunClient}, over whichever backend that class chooses.
 */
export class Client {
  private connection: Promise<Connection> | undefined;
  private readonly closing = new AbortController();

  /** `connect` is called once, by the first method that needs a backend, and again if it fails. */
  constructor(private readonly connect: () => Promise<Connection>) {}

  /**
   * Chooses the backend, if that has not happened yet, and tells which one it is and why. The choice is made once and never changes: if the server is lost
   * later, calls reject with CONNECTION_FAILED, and the client does not move to a place without your boxes.
   *
   * @throws {BoxRunError} CONNECTION_FAILED when the option `backend` is "remote" and no server answers
   * @throws {BoxRunError} VALIDATION_ERROR with `status` 401 or 403 when a server that the options name refuses the client
   * @throws {BoxRunError} UNSUPPORTED when boxes would have to be emulated here and this runtime has no Workers, as edge functions have none
   *
   * @example
   * const { kind, reason, tried } = await client.ready();   // "remote", "a BoxRun server answers at http://127.0.0.1:9090", [...]
   */
  async ready(options: CallOptions = {}): Promise<Omit<Connection, "backend">> {
    requireOptions(options, { signal: true });
    const { kind, reason, tried } = await withSignal(options.signal, () => this.open());
    return { kind, reason, tried };
  }

  /**
   * Creates a box, starts it and writes its `files`.
   *
   * Rejects with the signal's reason when `signal` aborts.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when an option is wrong
   * @throws {BoxRunError} NAME_ALREADY_EXISTS when another box has the name
   * @throws {BoxRunError} IMAGE_PULL_FAILED when there is no such image, or it cannot be fetched
   * @throws {BoxRunError} RESOURCE_EXCEEDED when the memory of all running boxes would be too much
   * @throws {BoxRunError} STORAGE_FULL when the place where boxes are kept is full
   * @throws {BoxRunError} UNSUPPORTED when the backend lacks a feature that an option asks for
   *
   * @example
   * await using box = await client.create("tiny", { memoryMb: 256, env: { GREETING: "hello" } });
   * await using other = await client.create("tiny", { files: { "/srv/a.sh": "echo a" } });
   */
  async create(image: string, options: CreateOptions = {}): Promise<BoxHandle> {
    requireObject(options);
    const { files, ...rest } = options;
    if (files === undefined) return this.createEmpty(image, rest);
    const { createWithFiles } = await import("./initial-files.js");
    return createWithFiles(files, options.signal, () => this.createEmpty(image, rest));
  }

  private async createEmpty(image: string, options: Omit<CreateOptions, "files">): Promise<BoxHandle> {
    const { signal, onProgress, secrets: given, volumes, ...rest } = options;
    requireSignal(signal);
    const split =
      volumes === undefined
        ? undefined
        : (await import("../backend/volume-sources.js")).splitVolumes(volumes);
    const spec = parseBoxSpec({ ...rest, ...(split && { volumes: split.specs }), image });
    const checks = given === undefined ? undefined : await import("../network/secrets.js");
    checks?.parseSecrets(given, spec);
    if (typeof spec.network === "object") (await import("../network/rules.js")).requireRules(spec.network);
    const backend = await withSignal(signal, () => this.backend());
    signal?.throwIfAborted();
    const launch = {
      ...callOptions(signal),
      ...(onProgress && { onProgress }),
      ...(split && { volumes: split.sources }),
    };
    const withSecrets = checks?.withSecrets({ ...launch, secrets: given! }, backend);
    const created = backend.createBox(spec, withSecrets ?? launch);
    // A box that is created after its caller has gone is removed.
    const removeLate = async (info: BoxInfo) => {
      if (signal?.aborted) await backend.removeBox(info.id, { force: true });
    };
    created.then(removeLate).catch(() => {});
    return new BoxHandle(backend, await untilAborted(created, signal), true);
  }

  /**
   * Finds the box of a name, and starts it if it is stopped; creates it if there is none. Of several callers that do so at once, in any page or process, one
   * creates the box and the others get it. `files` are written only by the one who creates it, and the others do not wait for them. Only options that are given
   * are compared with those of a box that exists. `await using` removes the box only if this call created it.
   *
   * Rejects as {@link BoxRunClient.create} and {@link BoxHandle.start} do, and with the signal's reason when `signal` aborts.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when the box has another image or other options than these; the message names the differences
   * @throws {BoxRunError} BOX_LOCKED when somebody else has been creating the box for five minutes
   *
   * @example
   * const box = await client.getOrCreate("notebook", "tiny", { memoryMb: 256 });
   */
  async getOrCreate(
    name: string,
    image: string,
    options: Omit<CreateOptions, "name"> = {},
  ): Promise<BoxHandle> {
    requireObject(options);
    const { getOrCreate } = await import("./get-or-create.js");
    return getOrCreate(name, image, options, {
      backend: () => this.backend(),
      create: (checked) => this.create(image, { ...checked, name }),
      handle: (backend, info) => new BoxHandle(backend, info, false),
    });
  }

  /**
   * Creates a box, runs one command in it and removes the box. Rejects as {@link BoxRunClient.create} and {@link BoxHandle.exec} do. A removal that fails does
   * not change the result.
   *
   * @example
   * const { stdout } = await client.run("tiny", "seq 10 | awk '{ sum += $1 } END { print sum }'");   // "55\n"
   * const listing = await client.run("tiny", "ls", ["-l", "/etc"], { memoryMb: 256 });
   */
  run(image: string, file: string, args: readonly string[], options?: RunOptions): Promise<ExecResult>;
  run(image: string, cmd: Command, options?: RunOptions): Promise<ExecResult>;
  async run(image: string, first: Command, ...rest: CommandArguments<RunOptions>): Promise<ExecResult> {
    const [cmd, options] = commandAndOptions(first, rest);
    return runInBox((ofBox) => this.create(image, ofBox), cmd, options);
  }

  /**
   * Finds a box by its id or name.
   *
   * @throws {BoxRunError} BOX_NOT_FOUND when there is none
   */
  async getBox(idOrName: string, options: CallOptions = {}): Promise<BoxHandle> {
    requireOptions(options, { signal: true });
    if (typeof idOrName !== "string")
      throw invalid(`a box id or name must be a string, got ${shown(idOrName)}`);
    if (idOrName === "") throw invalid("a box id or name must not be empty");
    return this.call(options, async (backend, call) => {
      return new BoxHandle(backend, await backend.getBox(idOrName, call), false);
    });
  }

  /**
   * Lists all boxes, or those in one status ("creating", "running", "stopped", "error"), newest first; those of the same millisecond are sorted by id. The
   * status "all" is no filter.
   *
   * @throws {BoxRunError} VALIDATION_ERROR for any other status
   */
  async listBoxes(options: ListOptions = {}): Promise<BoxInfo[]> {
    requireOptions(options, { status: true, signal: true });
    const { status } = options;
    const filter = status === undefined ? {} : { status };
    return this.call(options, (backend, call) => backend.listBoxes(filter, call));
  }

  /**
   * Yields the list of all boxes now, and again whenever one of them has changed: created, started, stopped, crashed or removed, by this client or in another
   * page or process. Changes that happen while you handle one list are in the next. Stops when you leave the loop or the client is closed, and rejects with the
   * signal's reason when `signal` aborts. A server's list is polled every second.
   *
   * @example
   * for await (const boxes of client.watchBoxes()) console.log(boxes.map(({ name, status }) => `${name}: ${status}`));
   */
  async *watchBoxes(options: CallOptions = {}): AsyncGenerator<BoxInfo[], void, undefined> {
    requireOptions(options, { signal: true });
    const { signal } = options;
    const backend = await withSignal(signal, () => this.backend());
    const closed = this.closing.signal;
    const { life, end } = following(signal, closed);
    const until = life.signal;
    let changed = deferred();
    let stop: (() => void) | undefined;
    try {
      stop = await backend.watchBoxes?.(() => changed.resolve());
      for (let seen = ""; ; ) {
        until.throwIfAborted();
        // Before the list is requested: changes meanwhile may not be in it.
        changed = deferred();
        const boxes = await untilAborted(backend.listBoxes({}), until);
        const now = JSON.stringify(boxes);
        if (now !== seen) yield boxes;
        seen = now;
        await (stop ? untilAborted(changed.promise, until) : pause(LOOK_AGAIN_MS, until));
      }
    } catch (error) {
      signal?.throwIfAborted();
      // A backend that is being closed may fail in any way.
      if (!closed.aborted) throw error;
    } finally {
      end();
      stop?.();
    }
  }

  /**
   * Removes boxes that have been stopped or in status "error" for at least `olderThan` seconds, with their disks. Resolves to the number of removed boxes. A
   * box whose record cannot be read stays.
   *
   * @param options.olderThan Seconds; 3600 unless given.
   * @throws {BoxRunError} VALIDATION_ERROR when `olderThan` is not a number, or less than 0
   *
   * @example
   * const removed = await client.gc({ olderThan: 7 * 24 * 3600 });
   */
  async gc(options: CallOptions & { olderThan?: number } = {}): Promise<number> {
    requireOptions(options, { olderThan: true, signal: true });
    const { olderThan = DEFAULT_GC_SECONDS } = options;
    if (typeof olderThan !== "number" || !(olderThan >= 0))
      throw invalid(`olderThan must be seconds of at least 0, got ${shown(olderThan)}`);
    return this.call(options, (backend) => backend.gc({ olderThan }));
  }

  /** Describes the backend, its limits and its capabilities. */
  async info(options: CallOptions = {}): Promise<BackendInfo> {
    requireOptions(options, { signal: true });
    return this.call(options, (backend, call) => backend.info(call));
  }

  /**
   * Lists the images that boxes can be created from.
   *
   * @throws {BoxRunError} UNSUPPORTED when the server does not list its images
   */
  async images(options: CallOptions = {}): Promise<ImageInfo[]> {
    requireOptions(options, { signal: true });
    return this.call(options, (backend, call) => backend.images(call));
  }

  /**
   * Fetches a whole image, so that boxes of it need no network from then on. Without this, each part is fetched when a box first reads it. Rejects with the
   * signal's reason when `signal` aborts.
   *
   * @throws {BoxRunError} IMAGE_PULL_FAILED when there is no such image, or a part of it cannot be fetched
   * @throws {BoxRunError} UNSUPPORTED over a server, which fetches its images by itself, and where nothing that is fetched can be kept
   *
   * @example
   * await client.pull("debian", { onProgress: ({ loadedBytes, totalBytes }) => console.log(loadedBytes, totalBytes) });
   */
  async pull(
    image: string,
    options: CallOptions & { onProgress?: (progress: TransferProgress) => void } = {},
  ): Promise<void> {
    requireOptions(options, { signal: true, onProgress: true });
    return this.call(options, (backend) => backend.pullImage(image, options));
  }

  /**
   * Finds the box that a handle's `toJSON` described.
   *
   * @throws {BoxRunError} BOX_NOT_FOUND when it has been removed
   */
  fromJSON(json: { id: string }, options: CallOptions = {}): Promise<BoxHandle> {
    return this.getBox(json.id, options);
  }

  /**
   * Stops the local boxes of this client and keeps their disks, except for boxes in memory (`local.persistent: false`), which end. Boxes on a server go on
   * running. A backend that was passed as the option `backend` is closed, too. Idempotent; other calls of the client reject afterwards with VALIDATION_ERROR.
   */
  async close(): Promise<void> {
    this.closing.abort();
    const connection = await this.connection?.catch(() => undefined);
    await connection?.backend.close();
  }

  /** Does the same as {@link BoxRunClient.close}. For `await using`. */
  [asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Makes one call of a backend, which its caller can leave. It is not made when the caller has left before a backend is chosen. */
  private call<T>(
    { signal }: CallOptions,
    work: (backend: Backend, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    return withSignal(signal, async () => {
      const backend = await this.backend();
      signal?.throwIfAborted();
      return work(backend, callOptions(signal));
    });
  }

  private async backend(): Promise<Backend> {
    return (await this.open()).backend;
  }

  private open(): Promise<Connection> {
    if (this.closing.signal.aborted) throw invalid("this client was closed");
    if (!this.connection) {
      this.connection = this.connect();
      // A failure, such as a part that did not load, may not happen again.
      this.connection.catch(() => {
        this.connection = undefined;
      });
    }
    return this.connection;
  }
}
