import { deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { ERRNO, VolumeError, volumeErrorOf } from "./errno.js";
import type { MountedVolume } from "./fids.js";
import type { Mount } from "./mount.js";
import { CALLS } from "./nine-p-calls.js";
import { Answer, Fields, HEADER_BYTES, RLERROR, T } from "./nine-p-wire.js";
import type { Later } from "./volume-files.js";

/** Time limit of a request. The guest waits for it, whatever its programs do. */
const LIMIT_MS = 30_000;
/** Largest message: what fits into the buffers of Linux's virtio transport. */
const MAX_MESSAGE_BYTES = 512_000;
const MIN_MESSAGE_BYTES = 4096;
const VERSION = "9P2000.L";

/** Options of {@link NinePServer}. */
export interface NinePServerOptions {
  /** Time limit of a request, in milliseconds. A volume that exceeds it is dead: all its later requests fail at once. @default 30000 */
  limitMs?: number;
}

/** Serves volumes to a guest by 9P2000.L. Every request gets one answer, at once where it can be had at once. */
export class NinePServer {
  private readonly limitMs: number;
  private messageBytes = MIN_MESSAGE_BYTES;
  /** Requests that are under way, by their tags. */
  private readonly pending = new Map<number, Promise<void>>();

  constructor(
    private readonly mount: Mount,
    { limitMs = LIMIT_MS }: NinePServerOptions = {},
  ) {
    this.limitMs = limitMs;
  }

  /** Answers a request. The array belongs to the server. */
  handle(request: Uint8Array, reply: (answer: Uint8Array) => void): void {
    const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
    const isWhole = request.byteLength >= HEADER_BYTES && view.getUint32(0, true) === request.byteLength;
    const tag = request.byteLength >= HEADER_BYTES ? view.getUint16(5, true) : 0xffff;
    const type = isWhole ? request[4]! : 0;
    try {
      if (!isWhole) throw new VolumeError("EINVAL");
      const answer = new Answer();
      const done = this.call(type, new Fields(request), answer);
      if (!(done instanceof Promise)) return reply(answer.finish(type + 1, tag));
      const volume = type === T.FLUSH ? undefined : this.mount.volumeOf(new Fields(request).u32());
      const answered = done.then(() => answer.finish(type + 1, tag));
      this.wait(tag, volume, answered, reply);
    } catch (error) {
      reply(failure(error, tag));
    }
  }

  /** Answers a request that takes time, when it is done or its time is over. */
  private wait(
    tag: number,
    volume: MountedVolume | undefined,
    done: Promise<Uint8Array>,
    reply: (answer: Uint8Array) => void,
  ): void {
    const settled = deferred<Uint8Array>();
    const stopTimer = startTimer(this.limitMs, () => {
      if (volume) volume.isDead = true;
      settled.resolve(failure(new VolumeError("EIO"), tag));
    });
    done.then(settled.resolve, (error) => settled.resolve(failure(error, tag)));
    const answered = settled.promise.then((answer) => {
      stopTimer();
      if (this.pending.get(tag) === answered) this.pending.delete(tag);
      reply(answer);
    });
    this.pending.set(tag, answered);
  }

  private call(type: number, fields: Fields, answer: Answer): Later<unknown> {
    switch (type) {
      case T.VERSION: {
        const asked = fields.u32();
        const version = fields.string();
        this.mount.fids.clear();
        this.messageBytes = Math.min(Math.max(asked, MIN_MESSAGE_BYTES), MAX_MESSAGE_BYTES);
        answer.u32(this.messageBytes).string(version === VERSION ? VERSION : "unknown");
        return;
      }
      case T.FLUSH:
        // The old request is answered first. A tag without an answer would hold its buffers for ever.
        return this.pending.get(fields.u16());
      case T.ATTACH: {
        const { mount } = this;
        mount.fids.add(fields.u32(), mount.root.share());
        answer.qid(mount.qidOf(undefined, { kind: "directory", device: 0, inode: 0 }));
        return;
      }
      default: {
        const call = CALLS[type];
        if (!call) throw new VolumeError("EOPNOTSUPP");
        return call(this.mount, fields, answer, this.messageBytes - HEADER_BYTES);
      }
    }
  }
}

function failure(error: unknown, tag: number): Uint8Array {
  return new Answer().u32(ERRNO[volumeErrorOf(error).errno]).finish(RLERROR, tag);
}
