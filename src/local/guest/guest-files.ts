import type { UploadSpec } from "../../backend/backend.js";
import { BoxRunError } from "../../backend/errors.js";
import { DEFAULT_FILE_MODE } from "../../contract/schemas.js";
import { whenAborted } from "../../util/abort.js";
import { deferred } from "../../util/deferred.js";
import { type GuestFrame, PUT_KEEP_MODE } from "../protocol/frame-types.js";
import { ByteQueue } from "./byte-queue.js";
import { ReceiveCredit, SendCredit, WINDOW_BYTES } from "./credit.js";
import type { GuestFailure } from "./errno.js";
import type { Guest, GuestStream } from "./guest.js";
import { PathInVolume, pathInVolume } from "./path-in-volume.js";
import { SilenceClock } from "./silence-clock.js";
import { violation } from "./violation.js";

/** Time without an answer from the guest. Its work takes a moment, or seconds on slow, busy hosts. */
export const SILENCE_MS = 60_000;
/** Time for the guest to put a whole file in its place, after it has written out the old one: some gigabytes, on a slow host. */
const FINISH_MS = 600_000;

/** The error of a transfer that the guest gave up, with its report. */
export class TransferFailed extends Error {
  constructor(readonly failure: GuestFailure) {
    super(failure.detail);
  }
}

/**
 * Uploads one file to the guest. Rejects with {@link TransferFailed}, the body's own error, the signal's reason or the loss of the guest; the old file
 * under `path` is intact then, unless it could only be written in place. Rejects with {@link PathInVolume} before the body is touched, which
 * is the caller's again.
 */
export async function putFile(
  guest: Guest,
  file: { path: string; body: ReadableStream<Uint8Array> } & UploadSpec,
): Promise<void> {
  // A read that is pending when the transfer ends would otherwise wait for as long as the source likes.
  const put = new Put(guest, file, () => void reader.cancel().catch(() => {}));
  const reader = file.body.getReader();
  const ignoreSignal = whenAborted(file.signal, (reason) => put.abort(reason));
  try {
    file.signal?.throwIfAborted();
    await put.answered.promise;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      await put.write(value);
    }
    await put.finish();
  } catch (error) {
    if (error instanceof PathInVolume) reader.releaseLock();
    else put.abort(error);
    throw error;
  } finally {
    ignoreSignal();
  }
}

class Put implements GuestStream {
  readonly mayWrite = true;
  /** Settles with the guest's first answer: it takes the file, has failed, or leaves it to the host. */
  readonly answered = deferred<void>();
  private readonly id: number;
  private readonly credit = new SendCredit();
  private readonly done = deferred<void>();
  private readonly silence: SilenceClock;
  private open = true;
  private sending = false;
  private granted = false;

  constructor(
    private readonly guest: Guest,
    { path, mode, newMode = DEFAULT_FILE_MODE }: { path: string } & UploadSpec,
    private readonly onEnd: () => void,
  ) {
    const flags = mode === undefined ? PUT_KEEP_MODE : 0;
    this.id = guest.open(this, (stream) => ({ type: "put", stream, flags, mode: mode ?? newMode, path }));
    this.silence = new SilenceClock(guest.clock, () => this.abort(silent("upload to", path)));
    this.silence.start(SILENCE_MS);
  }

  receive(frame: GuestFrame): void {
    if (frame.type === "credit") {
      this.granted = true;
      this.answered.resolve();
      if (this.sending) this.silence.start(SILENCE_MS);
      else this.silence.stop();
      return this.credit.grant(frame.bytes);
    }
    if (frame.type === "volume") return this.leave(pathInVolume(frame));
    this.end();
    if (frame.type === "done") return this.done.resolve();
    if (frame.type === "fail") return this.done.reject(new TransferFailed(frame));
    throw violation(`sent ${frame.type} for an upload`);
  }

  lost(error: BoxRunError): void {
    this.end();
    this.done.reject(error);
  }

  /** Ends the upload, but not its body. */
  private leave(where: PathInVolume): void {
    if (this.granted) throw violation("granted credit for a path in a volume");
    this.open = false;
    this.silence.stop();
    this.answered.reject(where);
  }

  /** Sends a chunk. The silence timer runs only during a write, because the source may be slow. */
  async write(chunk: Uint8Array): Promise<void> {
    if (!this.open) return;
    this.sending = true;
    this.silence.start(SILENCE_MS);
    await this.guest.sendData(this.id, "file", this.credit, chunk);
    this.sending = false;
    this.silence.stop();
  }

  async finish(): Promise<void> {
    if (this.open) {
      this.guest.send({ type: "eof", stream: this.id });
      this.silence.start(FINISH_MS);
    }
    await this.done.promise;
  }

  abort(reason: unknown): void {
    if (!this.open) return;
    this.guest.send({ type: "abort", stream: this.id });
    this.end();
    this.done.reject(reason);
  }

  private end(): void {
    this.open = false;
    this.silence.stop();
    this.credit.end();
    this.answered.resolve();
    this.onEnd();
  }
}

/** A file of the guest. Its stream returns credit as it is read, so that a slow reader delays only itself. */
export interface GuestFile {
  /** Size in bytes when it was opened; 0 for files that are generated while they are read, as under /proc. */
  size: number;
  mode: number;
  stream: ReadableStream<Uint8Array>;
}

/**
 * Opens a file of the guest. Rejects with {@link TransferFailed}, {@link PathInVolume}, the signal's reason or the loss of the guest. The
 * stream fails with the same errors, except for a volume, and for the signal, which counts until the file is open.
 */
export async function getFile(guest: Guest, path: string, signal?: AbortSignal): Promise<GuestFile> {
  signal?.throwIfAborted();
  const get = new Get(guest, path);
  const ignoreSignal = whenAborted(signal, (reason) => get.abort(reason));
  const silence = new SilenceClock(guest.clock, () => get.abort(silent("download of", path)));
  silence.start(SILENCE_MS);
  try {
    const { size, mode } = await get.opened.promise;
    return { size, mode, stream: get.stream };
  } finally {
    silence.stop();
    ignoreSignal();
  }
}

class Get implements GuestStream {
  readonly mayWrite = false;
  readonly opened = deferred<{ size: number; mode: number }>();
  readonly stream: ReadableStream<Uint8Array>;
  private readonly id: number;
  private readonly credit: ReceiveCredit;
  private readonly received = new ByteQueue();
  private open = true;
  private stated = false;
  private failure: Error | undefined;
  private changed = deferred<void>();

  constructor(
    private readonly guest: Guest,
    path: string,
  ) {
    this.id = guest.open(this, (stream) => ({ type: "get", stream, window: WINDOW_BYTES, path }));
    this.credit = new ReceiveCredit((bytes) => guest.send({ type: "credit", stream: this.id, bytes }));
    this.stream = new ReadableStream<Uint8Array>(
      { pull: (controller) => this.pull(controller), cancel: (reason) => this.abort(reason) },
      { highWaterMark: 0 },
    );
  }

  receive(frame: GuestFrame): void {
    if (!this.stated && !["stat", "fail", "volume"].includes(frame.type)) {
      throw violation("sent a file before describing it");
    }
    switch (frame.type) {
      case "stat":
        if (this.stated) throw violation("described a file twice");
        this.stated = true;
        return this.opened.resolve(frame);
      case "data":
        this.credit.use(frame.data.byteLength);
        this.received.push(frame.data);
        return this.wake();
      case "done":
        this.open = false;
        return this.wake();
      case "volume":
        if (this.stated) throw violation("described a file in a volume");
        return this.end(pathInVolume(frame));
      case "fail":
        return this.end(new TransferFailed(frame));
      default:
        throw violation(`sent ${frame.type} for a download`);
    }
  }

  lost(error: BoxRunError): void {
    this.end(error);
  }

  private async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.received.isEmpty && this.open) await this.changed.promise;
    const bytes = this.received.shift();
    if (bytes) {
      if (this.open) this.credit.release(bytes.byteLength);
      controller.enqueue(bytes);
    } else if (this.failure) controller.error(this.failure);
    else controller.close();
  }

  abort(reason: unknown): void {
    this.received.clear();
    if (this.open) this.guest.send({ type: "abort", stream: this.id });
    this.open = false;
    this.opened.reject(reason);
  }

  private end(error: Error): void {
    this.open = false;
    this.failure = error;
    this.opened.reject(error);
    this.wake();
  }

  private wake(): void {
    const { resolve } = this.changed;
    this.changed = deferred();
    resolve();
  }
}

function silent(what: string, path: string): BoxRunError {
  return new BoxRunError("RUNTIME_ERROR", `${what} ${path}: the guest does not answer`, {
    hint: "stop the box and start it again",
  });
}
