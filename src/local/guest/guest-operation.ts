import { BoxRunError } from "../../backend/errors.js";
import type { FileEntry, FileOperation } from "../../contract/types.js";
import { whenAborted } from "../../util/abort.js";
import { deferred } from "../../util/deferred.js";
import { FILE_OPERATIONS, type GuestFrame } from "../protocol/frame-types.js";
import { ReceiveCredit, WINDOW_BYTES } from "./credit.js";
import { decodeEntries } from "./file-entries.js";
import type { Guest, GuestStream } from "./guest.js";
import { SILENCE_MS, TransferFailed } from "./guest-files.js";
import { type PathInVolume, pathInVolume } from "./path-in-volume.js";
import { SilenceClock } from "./silence-clock.js";
import { violation } from "./violation.js";

/** Limit for the list of one directory, which a hostile guest could otherwise make endless. */
const MAX_LIST_BYTES = 64 * 2 ** 20;
/** Limit for the entries of one directory. Each is an object of some 300 bytes here, however short its name. */
const MAX_ENTRIES = 500_000;
const SLASH = 47;
const DOT = 46;

/**
 * Performs one file operation in the guest. Rejects with {@link TransferFailed}, {@link PathInVolume}, the signal's reason, the loss of the guest, or RUNTIME_ERROR for a
 * directory that holds too much and a guest that does not answer.
 */
export async function operateInGuest(
  guest: Guest,
  operation: FileOperation,
  signal: AbortSignal | undefined,
): Promise<FileEntry[]> {
  signal?.throwIfAborted();
  const call = new Operation(guest, operation);
  const ignoreSignal = whenAborted(signal, (reason) => call.abort(reason));
  try {
    return await call.done.promise;
  } finally {
    ignoreSignal();
  }
}

class Operation implements GuestStream {
  readonly done = deferred<FileEntry[]>();
  readonly mayWrite: boolean;
  private readonly id: number;
  private readonly credit: ReceiveCredit;
  private readonly entries: FileEntry[] = [];
  private bytes = 0;
  private open = true;
  private readonly silence: SilenceClock;

  constructor(
    private readonly guest: Guest,
    private readonly operation: FileOperation,
  ) {
    this.mayWrite = operation.op !== "stat" && operation.op !== "list";
    this.id = guest.open(this, (stream) => ({
      type: "file",
      stream,
      operation: numberOf(operation),
      window: WINDOW_BYTES,
      path: operation.path,
      ...argumentsOf(operation),
    }));
    this.silence = new SilenceClock(guest.clock, () => this.abort(this.error("the guest does not answer")));
    this.silence.start(SILENCE_MS);
    this.credit = new ReceiveCredit((bytes) => guest.send({ type: "credit", stream: this.id, bytes }));
  }

  receive(frame: GuestFrame): void {
    switch (frame.type) {
      case "data":
        this.credit.use(frame.data.byteLength);
        // Data of an operation that was given up may still arrive.
        return this.open ? this.take(frame.data) : undefined;
      case "done":
        this.end();
        if (this.operation.op === "stat" && this.entries.length === 0)
          throw violation("sent no result for stat");
        return this.done.resolve(this.entries);
      case "volume":
        this.end();
        if (this.bytes > 0) throw violation("sent entries of a path in a volume");
        return this.done.reject(pathInVolume(frame, this.operation.op === "rename"));
      case "fail":
        this.end();
        return this.done.reject(new TransferFailed(frame));
      default:
        throw violation(`sent ${frame.type} for a file operation`);
    }
  }

  lost(error: BoxRunError): void {
    this.end();
    this.done.reject(error);
  }

  abort(reason: unknown): void {
    if (this.open) this.guest.send({ type: "abort", stream: this.id });
    this.end();
    this.done.reject(reason);
  }

  private end(): void {
    this.open = false;
    this.silence.stop();
  }

  private error(why: string): BoxRunError {
    const { op, path } = this.operation;
    return new BoxRunError("RUNTIME_ERROR", `${op} ${new TextDecoder().decode(path)}: ${why}`);
  }

  private take(data: Uint8Array): void {
    const entries = decodeEntries(data);
    const { op } = this.operation;
    const fits = op === "list" ? entries.every(isOfDirectory) : op === "stat" && this.isOnly(entries);
    if (!fits) throw violation(`sent an invalid result for ${op}`);
    this.entries.push(...entries);
    this.bytes += data.byteLength;
    if (this.bytes > MAX_LIST_BYTES || this.entries.length > MAX_ENTRIES)
      return this.abort(this.error("the directory has too many entries"));
    this.silence.start(SILENCE_MS);
    this.credit.release(data.byteLength);
  }

  private isOnly(entries: FileEntry[]): boolean {
    return this.entries.length === 0 && entries.length === 1 && entries[0]!.name.byteLength === 0;
  }
}

/** Returns what an operation has beside its path. */
function argumentsOf(operation: FileOperation): { mode: number; second: Uint8Array | "" } {
  switch (operation.op) {
    case "mkdir":
      return { mode: operation.mode, second: "" };
    case "rename":
      return { mode: 0, second: operation.to };
    case "stat":
    case "list":
    case "remove":
      return { mode: 0, second: "" };
  }
}

function numberOf(operation: FileOperation): number {
  switch (operation.op) {
    case "stat":
      return operation.followLinks ? FILE_OPERATIONS.stat : FILE_OPERATIONS.lstat;
    case "mkdir":
      return operation.recursive ? FILE_OPERATIONS.mkdirs : FILE_OPERATIONS.mkdir;
    default:
      return FILE_OPERATIONS[operation.op];
  }
}

/** Returns true for a name that leads to an entry of the directory, and nowhere else. */
function isOfDirectory({ name }: FileEntry): boolean {
  const isDots = name.byteLength <= 2 && name.every((byte) => byte === DOT);
  return !isDots && !name.includes(SLASH) && !name.includes(0);
}
