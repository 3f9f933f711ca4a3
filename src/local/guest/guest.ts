import { BoxRunError, invalid } from "../../backend/errors.js";
import { type Deferred, deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { FrameError } from "../protocol/frame-fields.js";
import {
  type GuestFrame,
  type HostFrame,
  MAX_DATA,
  PROTOCOL_VERSION,
  STAGES,
} from "../protocol/frame-types.js";
import { encodeFrame, FrameReader } from "../protocol/frames.js";
import { BoxClock } from "./box-clock.js";
import type { SendCredit } from "./credit.js";
import { describeErrno, type GuestFailure } from "./errno.js";
import { Flushes } from "./flushes.js";
import { violation } from "./violation.js";
import { WallClock } from "./wall-clock.js";

/** Time from the start of the machine to the agent's HELLO on a cold boot, and from SETUP to READY, on slow, busy hosts, too. */
const SETUP_DEADLINE_MS = 60_000;
/** Time from NETWORK to its answer, on slow, busy hosts, too. */
const NETWORK_DEADLINE_MS = 30_000;
/** Time to write the guest's memory to the disk after the grace period of a shutdown: a lot, on a slow host. */
const SHUTDOWN_DEADLINE_MS = 30_000;
const MAX_STREAM_ID = 0xffff_ffff;

/** Types of the frames that end a stream. */
const LAST_FRAMES: ReadonlySet<GuestFrame["type"]> = new Set(["exit", "done", "fail", "volume"]);

/** Parameters of a new box, for its agent. */
export interface SetupSpec {
  hostname: string;
  entropy: Uint8Array;
  diskBytes: number;
  memoryLimitBytes: number;
  processLimit: number;
  workdir: string;
  /** Volumes of the machine's 9p device by their numbers, with parents before what is mounted in them. */
  volumes: readonly { path: string; readonly: boolean }[];
}

/** The guest's side of the network. Addresses are numbers: 0x0a00020f is 10.0.2.15. */
export interface NetworkSpec {
  address: number;
  /** Length of the network's prefix, 1 to 30 bits. */
  prefix: number;
  gateway: number;
  /** DNS server, which programs find in /etc/resolv.conf unless that file is the box's own. */
  dns: number;
  /** Size of the largest packet, 68 to 32000 bytes. */
  mtu: number;
}

/** A request that waits for DONE, or for a FAIL that this turns into an error. Without that, FAIL ends the machine. */
interface Request {
  done: Deferred<void>;
  refused?: (failure: GuestFailure) => BoxRunError;
}

/** A stream of the connection: a command, or a file in transfer. */
export interface GuestStream {
  /** Whether the guest may have written to its disk by the time the stream ends. */
  readonly mayWrite: boolean;
  /** Takes a frame. Throws when it breaks the protocol. */
  receive(frame: GuestFrame): void;
  /** Reports that the guest is gone, and no more frames will come. */
  lost(error: BoxRunError): void;
}

/**
 * The host's side of one guest: frames in, frames out, streams told apart. It knows nothing of v86, Workers or the SDK's API.
 * Everything that arrives is untrusted; `receive` throws on the first frame that breaks the protocol, and the owner ends the machine.
 */
export class Guest {
  /** Clock for the guest's deadlines. */
  readonly clock = new BoxClock();
  private readonly wall = new WallClock(() => {
    // A paused guest gets the date when it resumes.
    if (!this.clock.isPaused) this.setClock();
  });
  /** Progress of the guest's flushes. */
  readonly flushes = new Flushes();
  /** Called with the errno when the guest could not store written data. */
  onUnstored: (errno: number) => void = () => {};
  private readonly reader = new FrameReader("guest");
  private readonly streams = new Map<number, GuestStream>();
  private readonly hello = deferred<void>();
  private readonly ready = deferred<{ diskBytes: number }>();
  /** Requests that are answered alike, in this order. */
  private readonly requests: Request[] = [];
  /** Frames that the guest may send next about itself, each once. The agent of a boot image has already sent HELLO. */
  private readonly awaited = new Set<GuestFrame["type"]>(["hello"]);
  private readonly pings = new Map<number, Deferred<void>>();
  private lastStream = 0;
  private highestStream = 0;
  private lastPing = 0;
  private gone: BoxRunError | undefined;
  private readonly losers = new Set<(error: BoxRunError) => void>();

  constructor(private readonly transmit: (bytes: Uint8Array) => void) {}

  /** Takes bytes from the console port. Throws when they make no sense. */
  receive(chunk: Uint8Array): void {
    if (this.gone) return;
    for (const frame of this.reader.push(chunk) as GuestFrame[]) {
      if (frame.stream === 0) this.receiveOwn(frame);
      else this.route(frame);
    }
  }

  /** Resolves when a cold-booted agent has sent HELLO. */
  awaitHello(): Promise<void> {
    return within(SETUP_DEADLINE_MS, this.hello.promise, "the guest did not start");
  }

  /** Mounts the disk ahead of {@link setup}, which then has less to do. For boot images of new boxes. */
  prepare(): Promise<void> {
    const done = this.request({ type: "prepare", stream: 0 });
    return within(SETUP_DEADLINE_MS, done, "the guest did not mount its disk");
  }

  /** Ends all commands, with KILL after the grace period, and unmounts the disk. No other request may follow. */
  async shutdown(graceMs: number): Promise<void> {
    if (this.gone) throw this.gone;
    const done = this.request({ type: "shutdown", stream: 0, graceMs }, shutdownError);
    return within(graceMs + SHUTDOWN_DEADLINE_MS, done, "the guest did not unmount its disk");
  }

  /** Sets up the box in the guest. Resolves to the size of its file system. */
  setup(spec: SetupSpec): Promise<{ diskBytes: number }> {
    this.awaited.add("ready");
    if (!this.gone) this.transmit(encodeOwn({ type: "setup", stream: 0, clock: this.wall.tell(), ...spec }));
    return within(SETUP_DEADLINE_MS, this.ready.promise, "the guest did not set up the box");
  }

  /**
   * Raises the network of a box that is set up. Its packets go through the machine, not through this connection. If the guest cannot, it goes on without.
   *
   * @throws {BoxRunError} RUNTIME_ERROR when the guest cannot or does not answer in time; the error of a guest that is gone.
   */
  async network(spec: NetworkSpec): Promise<void> {
    if (this.gone) throw this.gone;
    const done = this.request({ type: "network", stream: 0, ...spec }, networkError);
    return within(NETWORK_DEADLINE_MS, done, "the guest did not raise its network");
  }

  /** Sets the guest's date. */
  setClock(): void {
    this.send({ type: "clock", stream: 0, clock: this.wall.tell() });
  }

  /** Resolves when the agent answers; rejects when it has not within `deadlineMs`. It may answer later. */
  ping(deadlineMs: number): Promise<void> {
    const token = ++this.lastPing;
    const pong = deferred();
    this.pings.set(token, pong);
    this.send({ type: "ping", stream: 0, token });
    return within(deadlineMs, pong.promise, "the guest's agent did not answer");
  }

  /**
   * Opens a stream with its first frame. Throws VALIDATION_ERROR, with nothing opened, when the frame cannot be encoded. If the guest is
   * gone, the stream is told at once.
   */
  open(stream: GuestStream, first: (id: number) => HostFrame): number {
    // Ids have 32 bits and a box lives long: after a wrap, ids in use are skipped.
    do this.lastStream = this.lastStream === MAX_STREAM_ID ? 1 : this.lastStream + 1;
    while (this.streams.has(this.lastStream));
    this.highestStream = Math.max(this.highestStream, this.lastStream);
    const id = this.lastStream;
    const bytes = encodeOwn(first(id));
    this.wall.check();
    this.wall.watch(() => this.streams.size === 0);
    this.streams.set(id, stream);
    const { gone } = this;
    if (gone) queueMicrotask(() => this.streams.delete(id) && stream.lost(gone));
    else this.transmit(bytes);
    return id;
  }

  /** Calls back when the guest is gone, unless the function that it returns is called before. */
  whenLost(callback: (error: BoxRunError) => void): () => void {
    const { gone } = this;
    if (gone) queueMicrotask(() => callback(gone));
    else this.losers.add(callback);
    return () => this.losers.delete(callback);
  }

  /** Sends a frame that is answered by DONE or FAIL on stream 0. */
  private request(frame: HostFrame, refused?: Request["refused"]): Promise<void> {
    const done = deferred();
    this.send(frame);
    this.requests.push({ done, ...(refused && { refused }) });
    return done.promise;
  }

  /** Sends one frame. Dropped once the guest is gone: everybody who waits has been told. */
  send(frame: HostFrame): void {
    if (!this.gone) this.transmit(encodeFrame(frame));
  }

  /** Sends `chunk` as the stream's credit allows. Resolves early when the stream ends. */
  async sendData(
    stream: number,
    channel: "stdin" | "file",
    credit: SendCredit,
    chunk: Uint8Array,
  ): Promise<void> {
    if (!(chunk instanceof Uint8Array)) throw invalid("a byte stream must yield Uint8Arrays");
    for (let offset = 0; offset < chunk.byteLength; ) {
      const length = await credit.take(Math.min(MAX_DATA, chunk.byteLength - offset));
      // The stream may have ended meanwhile; its end is handled before this goes on.
      if (length === 0 || credit.ended) return;
      this.send({ type: "data", stream, channel, data: chunk.subarray(offset, offset + length) });
      offset += length;
    }
  }

  /** Notes that the machine has ended: all pending and later calls reject with `error`. */
  lose(error: BoxRunError): void {
    if (this.gone) return;
    this.gone = error;
    this.wall.stop();
    const requests = this.requests.map(({ done }) => done);
    for (const waiting of [this.hello, this.ready, ...requests, ...this.pings.values()])
      waiting.reject(error);
    const streams = [...this.streams.values()];
    this.streams.clear();
    this.flushes.lose();
    for (const stream of streams) stream.lost(error);
    for (const tell of [...this.losers]) tell(error);
    this.losers.clear();
  }

  private receiveOwn(frame: GuestFrame): void {
    switch (frame.type) {
      case "hello":
        this.expect(frame);
        if (frame.version !== PROTOCOL_VERSION)
          throw violation(`speaks protocol version ${frame.version}, expected ${PROTOCOL_VERSION}`);
        return this.hello.resolve();
      case "ready":
        this.expect(frame);
        this.flushes.wrote();
        return this.ready.resolve({ diskBytes: frame.diskBytes });
      case "pong": {
        const asked = this.pings.get(frame.token);
        if (!asked) throw violation("answered a ping that was never sent");
        this.pings.delete(frame.token);
        return asked.resolve();
      }
      case "flush":
        return this.flushes.begin();
      case "flushed":
        this.flushes.end();
        if (frame.errno !== 0) this.onUnstored(frame.errno);
        return;
      case "done": {
        const request = this.requests.shift();
        if (!request) throw violation("sent an unexpected done");
        return request.done.resolve();
      }
      case "fail": {
        const { done, refused } = (frame.stage !== STAGES.protocol && this.requests.shift()) || {};
        if (!done || !refused) throw setupError(frame);
        return done.reject(refused(frame));
      }
      default:
        throw violation(`sent ${frame.type} outside any stream`);
    }
  }

  /** Checks a frame that has no credit. Each is allowed once, as an answer to a request. */
  private expect({ type }: GuestFrame): void {
    if (!this.awaited.delete(type)) throw violation(`sent an unexpected ${type}`);
  }

  private route(frame: GuestFrame): void {
    const stream = this.streams.get(frame.stream);
    if (!stream) {
      if (frame.stream > this.highestStream)
        throw violation("sent a frame for a stream that was never opened");
      // The stream ended while this frame was under way.
      return;
    }
    stream.receive(frame);
    // Only afterwards, so that a stream whose last frame broke the protocol still learns that the guest is lost.
    const last = LAST_FRAMES.has(frame.type);
    if (last) this.streams.delete(frame.stream);
    if (last && stream.mayWrite) this.flushes.wrote();
  }
}

/** Names in the API for fields of frames, where they differ. */
const FIELD_NAMES: Readonly<Record<string, string>> = {
  path: "the path",
  second: "the new path",
  cwd: "workdir",
  hostname: "the name of the box",
  argv: "cmd",
};

/** Encodes a frame with values of the caller, such as the first of a stream and SETUP. A value that does not fit is the caller's mistake. */
function encodeOwn(frame: HostFrame): Uint8Array {
  try {
    return encodeFrame(frame);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    throw invalid(`${FIELD_NAMES[error.field] ?? error.field} ${error.what}`);
  }
}

/** Beginning of the detail of a volume that could not be mounted. Its path follows. */
const VOLUME_STEP = "volume ";
/** Errnos of a path that cannot be a volume's, whatever the volume is: EINVAL, ENOTDIR, EROFS, ENAMETOOLONG, ELOOP. */
const PATH_ERRNOS: ReadonlySet<number> = new Set([22, 20, 30, 36, 40]);

function setupError({ stage, errno, detail }: GuestFailure): BoxRunError {
  const why = describeErrno(errno);
  if (stage === STAGES.protocol) return violation(`could not read a frame from the host (${why})`);
  if (detail === "working directory") return invalid(`cannot create workdir: ${why}`);
  if (detail.startsWith(VOLUME_STEP) && PATH_ERRNOS.has(errno))
    return invalid(`cannot mount a volume at ${detail.slice(VOLUME_STEP.length)}: ${why}`);
  return new BoxRunError("RUNTIME_ERROR", `the guest cannot set up the box: ${detail}: ${why}`);
}

function shutdownError({ errno, detail }: GuestFailure): BoxRunError {
  return new BoxRunError("RUNTIME_ERROR", `${detail}: ${describeErrno(errno)}`);
}

function networkError({ errno, detail }: GuestFailure): BoxRunError {
  return new BoxRunError(
    "RUNTIME_ERROR",
    `the guest cannot raise its network: ${detail}: ${describeErrno(errno)}`,
  );
}

function within<T>(deadlineMs: number, promise: Promise<T>, what: string): Promise<T> {
  const late = deferred<never>();
  const stop = startTimer(deadlineMs, () =>
    late.reject(new BoxRunError("RUNTIME_ERROR", `${what} within ${deadlineMs} ms`)),
  );
  return Promise.race([promise, late.promise]).finally(stop);
}
