import type { FileChange } from "../../backend/backend.js";
import { pathBytes, showPath } from "../../backend/file-paths.js";
import { latin1 } from "../../util/byte-reader.js";
import { EventQueue } from "../../util/event-queue.js";
import { watchError } from "../guest/errno.js";
import { TransferFailed } from "../guest/guest-files.js";
import { type ChangeListener, watchInGuest, withoutSlashes } from "../guest/guest-watch.js";
import type { VolumeChange } from "../volumes/volume-calls.js";
import type { FilesContext } from "./box-files.js";

/** Watches files of a guest and of its volumes, as `Backend.watchFiles` documents it. */
export async function watchFiles(
  context: FilesContext,
  path: Uint8Array,
  options: { recursive: boolean; signal?: AbortSignal },
): Promise<AsyncIterableIterator<FileChange, void, undefined>> {
  pathBytes(path);
  options.signal?.throwIfAborted();
  const { hold } = context;
  const watch = new BoxWatch(context, path, options);
  const { queue } = watch;
  try {
    await hold(() => watch.open());
  } catch (error) {
    await queue.return();
    throw errorOf(path, error);
  }
  const held: AsyncIterableIterator<FileChange, void, undefined> = {
    next: () => hold(() => queue.next()),
    return: () => queue.return(),
    [Symbol.asyncIterator]: () => held,
  };
  return held;
}

/** A watch of a path: in the guest or in a volume, and, with all below, in the volumes that are mounted there. Paths within have a character for each byte. */
class BoxWatch {
  readonly queue: EventQueue<FileChange>;
  private readonly stops: (() => void)[] = [];
  private isOver = false;
  /** The path of the watch, to which those of changes are added. */
  private readonly base: string;
  /** The path that links of volumes lead to, without "." and repeated slashes; undefined if only the guest knows where it is. */
  private place: string | undefined;

  constructor(
    private readonly context: FilesContext,
    private readonly path: Uint8Array,
    private readonly options: { recursive: boolean; signal?: AbortSignal },
  ) {
    this.base = latin1(withoutSlashes(path));
    const { signal } = options;
    this.queue = new EventQueue<FileChange>({ overflow: this.overflow, signal });
    this.queue.feed(() => () => this.end());
    this.add(context.guest.whenLost((error) => this.queue.fail(error)));
  }

  /** Resolves once every later change is reported. */
  async open(): Promise<void> {
    const { guest, volumes } = this.context;
    const { recursive, signal } = this.options;
    const volume = await volumes.resolve(
      this.path,
      async (path) => {
        this.place = placeOf(latin1(path));
        this.add(await watchInGuest(guest, { path, recursive }, this.listener(undefined), signal));
        return undefined;
      },
      async (where) => {
        const volume = volumes.numberOf(where);
        const path = latin1(where.path!);
        this.place = placeOf(path.replace(/^\/+[^/]+/, () => volumes.places[volume] ?? ""));
        this.add(await volumes.watch(path, recursive, this.listener(volume)));
        return volume;
      },
    );
    for (const below of this.volumesBelow(volume)) await this.openBelow(below);
    signal?.throwIfAborted();
  }

  /** Watches a volume that is mounted below the path. The watch goes on when the host removes the volume's directory. */
  private async openBelow(volume: number): Promise<void> {
    const { volumes } = this.context;
    const offset = volumes.places[volume]!.slice(this.place!.length);
    const listener = { ...this.listener(volume, offset), onEnd: () => {} };
    this.add(await volumes.watch(`/${volume}`, true, listener));
  }

  /** Returns the numbers of the volumes that are mounted below the path, other than the one that it is in. */
  private volumesBelow(volume: number | undefined): number[] {
    const { place } = this;
    if (!this.options.recursive || place === undefined) return [];
    const numbers = [...this.context.volumes.places.keys()];
    return numbers.filter((each) => each !== volume && isBelow(this.context.volumes.places[each]!, place));
  }

  /**
   * Returns the listener of a part of the watch, in a volume or, without one, on the box's disk.
   *
   * @param offset where the part begins, below the path of the watch
   */
  private listener(volume: number | undefined, offset = ""): ChangeListener {
    return {
      onChange: (change) => {
        if (this.isHidden(offset + change.path, volume)) return;
        this.queue.push(this.changeOf(change, offset));
      },
      onEnd: () => this.queue.end(),
      onFailure: (error) => this.queue.fail(errorOf(this.path, error)),
    };
  }

  /** Returns true for what is in a directory of the part on which another volume is mounted. */
  private isHidden(path: string, volume: number | undefined): boolean {
    const { place } = this;
    if (place === undefined) return false;
    const { places } = this.context.volumes;
    const from = volume === undefined ? "" : places[volume]!;
    return places.some((other) => other !== from && isBelow(other, from) && isBelow(place + path, other));
  }

  private changeOf(change: VolumeChange, offset: string): FileChange {
    const { type, path } = change;
    if (type === "overflow") return this.overflow;
    if (type !== "renamed") return { type, path: this.inBox(offset + path) };
    return { type, path: this.inBox(offset + path), from: this.inBox(offset + change.from) };
  }

  private get overflow(): FileChange {
    return { type: "overflow", path: this.inBox("") };
  }

  private inBox(path: string): Uint8Array {
    return Uint8Array.from(this.base + path || "/", (char) => char.charCodeAt(0));
  }

  private add(stop: () => void): void {
    if (this.isOver) stop();
    else this.stops.push(stop);
  }

  private end(): void {
    this.isOver = true;
    for (const stop of this.stops.splice(0)) stop();
  }
}

function errorOf(path: Uint8Array, error: unknown): unknown {
  return error instanceof TransferFailed ? watchError(showPath(path), error.failure) : error;
}

/** Returns the steps of a path alone, "" for the root; undefined if there is a "..", before which there may be a link. */
function placeOf(path: string): string | undefined {
  const steps = path.split("/").filter((step) => step !== "" && step !== ".");
  return steps.includes("..") ? undefined : steps.map((step) => `/${step}`).join("");
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`);
}
