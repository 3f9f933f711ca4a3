import { BoxRunError } from "../../backend/errors.js";
import type { FileChange } from "../../contract/types.js";
import { whenAborted } from "../../util/abort.js";
import { latin1 } from "../../util/byte-reader.js";
import { deferred } from "../../util/deferred.js";
import { type GuestFrame, WATCH_RECURSIVE } from "../protocol/frame-types.js";
import type { VolumeChange } from "../volumes/volume-calls.js";
import { decodeChanges } from "./changes.js";
import { ReceiveCredit, WINDOW_BYTES } from "./credit.js";
import type { Guest, GuestStream } from "./guest.js";
import { SILENCE_MS, TransferFailed } from "./guest-files.js";
import { pathInVolume } from "./path-in-volume.js";
import { SilenceClock } from "./silence-clock.js";
import { violation } from "./violation.js";

const SLASH = 47;

/** Whoever takes the changes of a watch. */
export interface ChangeListener {
  onChange(change: VolumeChange): void;
  /** Called once what is watched is gone, after its "removed". */
  onEnd(): void;
  /** Called when the watch cannot go on: with {@link TransferFailed}, or the loss of the guest. */
  onFailure(error: unknown): void;
}

/**
 * Watches files in the guest, and resolves to a function that ends the watch once every later change is reported. Rejects with {@link TransferFailed}, `PathInVolume`, the signal's
 * reason or the loss of the guest.
 */
export async function watchInGuest(
  guest: Guest,
  what: { path: Uint8Array; recursive: boolean },
  listener: ChangeListener,
  signal: AbortSignal | undefined,
): Promise<() => void> {
  signal?.throwIfAborted();
  const watch = new Watch(guest, what, listener);
  const ignoreSignal = whenAborted(signal, (reason) => watch.stop(reason));
  try {
    await watch.started.promise;
    return () => watch.stop();
  } finally {
    ignoreSignal();
  }
}

class Watch implements GuestStream {
  readonly mayWrite = false;
  readonly started = deferred<void>();
  private readonly id: number;
  private readonly credit: ReceiveCredit;
  private readonly silence: SilenceClock;
  private readonly root: Uint8Array;
  private open = true;
  private stands = false;

  constructor(
    private readonly guest: Guest,
    { path, recursive }: { path: Uint8Array; recursive: boolean },
    private readonly listener: ChangeListener,
  ) {
    this.root = withoutSlashes(path);
    this.id = guest.open(this, (stream) => ({
      type: "watch",
      stream,
      flags: recursive ? WATCH_RECURSIVE : 0,
      window: WINDOW_BYTES,
      path,
    }));
    this.credit = new ReceiveCredit((bytes) => guest.send({ type: "credit", stream: this.id, bytes }));
    this.silence = new SilenceClock(guest.clock, () =>
      this.stop(new BoxRunError("RUNTIME_ERROR", `watch ${textOf(path)}: the guest does not answer`)),
    );
    this.silence.start(SILENCE_MS);
  }

  receive(frame: GuestFrame): void {
    switch (frame.type) {
      case "started":
        if (this.stands) throw violation("started a watch twice");
        this.stands = true;
        this.silence.stop();
        return this.started.resolve();
      case "data":
        this.credit.use(frame.data.byteLength);
        return this.take(frame.data);
      case "done":
        if (!this.stands) throw violation("ended a watch before it began");
        return this.end(() => this.listener.onEnd());
      case "volume":
        if (this.stands) throw violation("sent a path in a volume for a watch that has begun");
        return this.fail(pathInVolume(frame));
      case "fail":
        return this.fail(new TransferFailed(frame));
      default:
        throw violation(`sent ${frame.type} for a watch`);
    }
  }

  lost(error: BoxRunError): void {
    this.fail(error);
  }

  /** Ends the watch. The reason is for whoever waits until it begins. */
  stop(reason?: unknown): void {
    if (this.open) this.guest.send({ type: "abort", stream: this.id });
    this.end(() => this.started.reject(reason));
  }

  private fail(error: unknown): void {
    this.end(() => (this.stands ? this.listener.onFailure(error) : this.started.reject(error)));
  }

  private end(tell: () => void): void {
    if (!this.open) return;
    this.open = false;
    this.silence.stop();
    tell();
  }

  private take(data: Uint8Array): void {
    if (!this.stands) throw violation("sent changes before its watch began");
    const changes = decodeChanges(data).map((change) => this.fromRoot(change));
    // Changes of a watch that was ended may still arrive.
    if (!this.open) return;
    for (const change of changes) this.listener.onChange(change);
    this.credit.release(data.byteLength);
  }

  private fromRoot(change: FileChange): VolumeChange {
    const path = this.pathFromRoot(change.path);
    return change.type === "renamed"
      ? { type: change.type, path, from: this.pathFromRoot(change.from) }
      : { type: change.type, path };
  }

  private pathFromRoot(path: Uint8Array): string {
    const { root } = this;
    const [all, above] = [latin1(path), latin1(root)];
    if (all === (above || "/")) return "";
    if (all.startsWith(`${above}/`)) return all.slice(above.length);
    throw violation("sent a change of a path that is not watched");
  }
}

/** Returns a path without slashes at its end: of the root, nothing is left. */
export function withoutSlashes(path: Uint8Array): Uint8Array {
  let end = path.byteLength;
  while (end > 0 && path[end - 1] === SLASH) end--;
  return path.subarray(0, end);
}

function textOf(path: Uint8Array): string {
  return new TextDecoder().decode(path);
}
