import type { FileEntry, FileOperation, UploadSpec } from "../../backend/backend.js";
import { BoxRunError } from "../../backend/errors.js";
import { DEFAULT_FILE_MODE } from "../../contract/schemas.js";
import { untilAborted } from "../../util/abort.js";
import { latin1 } from "../../util/byte-reader.js";
import { type GuestFile, TransferFailed } from "../guest/guest-files.js";
import type { ChangeListener } from "../guest/guest-watch.js";
import { PathInVolume } from "../guest/path-in-volume.js";
import type { MachineHandle } from "../host/machine-handle.js";
import { STAGES } from "../protocol/frame-types.js";
import { ERRNO } from "../volumes/errno.js";
import type { OpenedFile, VolumeAnswer, VolumeCall, VolumeEntry } from "../volumes/volume-calls.js";
import { placesOf, type VolumeMount } from "./box-volumes.js";

/** Links over which a path may lead from the guest into a volume and back. */
const MAX_LINKS = 40;
const PIECE_BYTES = 256 * 1024;
const { EIO, ELOOP, EXDEV } = ERRNO;

/** The error of a path that leads on in the guest, by a link in a volume. */
class GoesOn extends Error {
  constructor(
    readonly path: Uint8Array,
    readonly isSecond: boolean,
  ) {
    super("the path goes on in the guest");
  }
}

/** Does in the volumes of a box what the guest has found to be there. Links that lead out of a volume are followed by the guest again, never by the host. */
export class VolumePaths {
  /** Paths in the box of the volumes, by their numbers, a character for each byte. */
  readonly places: readonly string[];
  private lastWatch = 0;

  constructor(
    private readonly machine: MachineHandle,
    private readonly mounts: readonly VolumeMount[],
  ) {
    this.places = placesOf(mounts);
  }

  /**
   * Does something with a path, in the guest if it is there and in a volume otherwise.
   *
   * @param inGuest rejects with {@link PathInVolume} when the path is in a volume
   */
  async resolve<T>(
    path: Uint8Array,
    inGuest: (path: Uint8Array, second: Uint8Array | undefined) => Promise<T>,
    inVolume: (where: PathInVolume) => Promise<T>,
  ): Promise<T> {
    let [first, second]: [Uint8Array, Uint8Array | undefined] = [path, undefined];
    for (let links = 0; links <= MAX_LINKS; links++) {
      try {
        return await inGuest(first, second);
      } catch (error) {
        if (!(error instanceof PathInVolume)) throw error;
        try {
          return await inVolume(error);
        } catch (failure) {
          if (!(failure instanceof GoesOn)) throw failure;
          if (failure.isSecond) second = failure.path;
          else first = failure.path;
        }
      }
    }
    throw failed(ELOOP);
  }

  /** Performs a file operation. Rejects with {@link TransferFailed}. */
  async operate(operation: FileOperation, { path: where, second }: PathInVolume): Promise<FileEntry[]> {
    if (operation.op === "rename" && (!where || !second)) throw failed(EXDEV);
    const path = latin1(where!);
    const call = ((): VolumeCall => {
      switch (operation.op) {
        case "stat":
          return { call: "stat", path, follow: operation.followLinks };
        case "list":
          return { call: "list", path };
        case "mkdir":
          return { call: "mkdir", path, mode: operation.mode, recursive: operation.recursive };
        case "rename":
          return { call: "rename", path, to: latin1(second!) };
        case "remove":
          return { call: "remove", path };
      }
    })();
    const answer = await this.call(call);
    return "entries" in answer ? answer.entries.map(fileEntry) : [];
  }

  /** Reads a file. Rejects, and its stream fails, with {@link TransferFailed}. */
  async download({ path }: PathInVolume): Promise<GuestFile> {
    const { handle, size, mode } = await this.open({ call: "open", path: latin1(path!) });
    let at = 0;
    const close = () =>
      this.call({ call: "close", handle }).then(
        () => {},
        () => {},
      );
    const stream = new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          try {
            const answer = await this.call({
              call: "read",
              handle,
              at,
              bytes: Math.min(PIECE_BYTES, size - at),
            });
            const bytes = "bytes" in answer ? answer.bytes : new Uint8Array(0);
            at += bytes.byteLength;
            if (bytes.byteLength > 0) controller.enqueue(bytes);
            if (at < size && bytes.byteLength > 0) return;
            await close();
            if (at < size)
              throw new BoxRunError(
                "RUNTIME_ERROR",
                `the file was truncated meanwhile, got ${at} of ${size} bytes`,
                {
                  retryable: true,
                },
              );
            controller.close();
          } catch (error) {
            await close();
            controller.error(error);
          }
        },
        cancel: close,
      },
      { highWaterMark: 0 },
    );
    return { size, mode, stream };
  }

  /** Writes a file, which is there whole or not at all, unless it can only be written in place. Rejects with {@link TransferFailed}. */
  async upload(
    where: PathInVolume,
    body: ReadableStream<Uint8Array>,
    { mode, newMode = DEFAULT_FILE_MODE, signal }: UploadSpec,
  ): Promise<void> {
    const { handle, inPlace } = await this.open({
      call: "create",
      path: latin1(where.path!),
      newMode,
      ...(mode !== undefined && { mode }),
    });
    const reader = body.getReader();
    const stage = inPlace ? STAGES.partly : STAGES.write;
    const volume = this.numberOf(where);
    let at = 0;
    try {
      for (;;) {
        const { done, value } = await untilAborted(reader.read(), signal);
        if (done) break;
        for (let from = 0; from < value.byteLength; from += PIECE_BYTES) {
          const bytes = value.slice(from, from + PIECE_BYTES);
          await this.call({ call: "write", handle, at, bytes }, { stage, volume });
          at += bytes.byteLength;
        }
      }
      signal?.throwIfAborted();
      await this.call({ call: "commit", handle }, { stage, volume });
    } catch (error) {
      void reader.cancel(error).catch(() => {});
      throw error;
    } finally {
      await this.call({ call: "close", handle }).catch(() => {});
    }
  }

  /** Returns the number of the volume that a path is in. */
  numberOf({ path }: PathInVolume): number {
    return numberIn(latin1(path!));
  }

  /** Watches a path of the mount, and resolves to a function that ends the watch. Rejects with {@link TransferFailed}. */
  async watch(path: string, recursive: boolean, listener: ChangeListener): Promise<() => void> {
    const watch = ++this.lastWatch;
    await this.call({ call: "watch", watch, path, recursive });
    let isOver = false;
    const follow = async () => {
      while (!isOver) {
        const answer = await this.call({ call: "changes", watch });
        if (isOver || !("changes" in answer)) return;
        for (const change of answer.changes) listener.onChange(change);
        if (answer.isEnd) return listener.onEnd();
      }
    };
    follow().catch((error) => isOver || listener.onFailure(error));
    return () => {
      isOver = true;
      void this.call({ call: "unwatch", watch }).catch(() => {});
    };
  }

  private async open(call: VolumeCall): Promise<OpenedFile> {
    const answer = await this.call(call);
    if ("opened" in answer) return answer.opened;
    throw new Error("a file was not opened");
  }

  /** Makes a call. `volume` is the number of the volume, where the call does not have its path. */
  private async call(
    call: VolumeCall,
    {
      stage = STAGES.open,
      volume = "path" in call ? numberIn(call.path) : undefined,
    }: { stage?: number; volume?: number | undefined } = {},
  ): Promise<VolumeAnswer> {
    // The guest says so; nobody else would.
    if (this.mounts.length === 0) throw failed(EIO);
    const answer = await this.machine.callVolume(call);
    if ("errno" in answer)
      throw failed(answer.errno, stage, volume === undefined ? undefined : this.mounts[volume]?.guestPath);
    if (!("out" in answer)) return answer;
    const place = answer.volume === undefined ? "" : (this.mounts[answer.volume]?.guestPath ?? "");
    throw new GoesOn(bytesOf(place, answer.out), answer.isSecond);
  }
}

function failed(errno: number, stage: number = STAGES.open, volume?: string): TransferFailed {
  return new TransferFailed({ stage, errno, detail: "", ...(volume !== undefined && { volume }) });
}

/** Returns the number of the volume that a path of the mount is in. */
function numberIn(path: string): number {
  return Number(path.split("/").find((name) => name !== ""));
}

/** Returns the path in the guest that a link leads to: absolute, or up from the place of a volume. */
function bytesOf(place: string, path: string): Uint8Array {
  const steps = Uint8Array.from(path, (char) => char.charCodeAt(0));
  if (place === "") return steps;
  const above = new TextEncoder().encode(`${place}/`);
  const whole = new Uint8Array(above.byteLength + steps.byteLength);
  whole.set(above);
  whole.set(steps, above.byteLength);
  return whole;
}

function fileEntry({ name, mtimeMs, ...facts }: VolumeEntry): FileEntry {
  return {
    ...facts,
    name: Uint8Array.from(name, (char) => char.charCodeAt(0)),
    modifiedAt: new Date(mtimeMs),
  };
}
