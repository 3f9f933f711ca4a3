import type { Backend, FileChange } from "../backend/backend.js";
import { requireCapability } from "../backend/capabilities.js";
import { pathBytes } from "../backend/file-paths.js";
import { requireFlags, requireOptions, requireSignal } from "../backend/validate.js";
import { following, untilAborted } from "../util/abort.js";
import type { BoxPath, FileEvent, WatchOptions } from "./file-types.js";

const HINT = "list the directory again and again, and compare";

/** The changes of a file or a directory, from the moment at which it is opened. */
export class OpenFileWatch {
  private ended = false;

  private constructor(
    private readonly changes: AsyncIterator<FileChange>,
    private readonly life: AbortController,
    private readonly forget: () => void,
  ) {}

  /** Opens a watch. Implements `BoxFiles.watch`, which documents it. */
  static async open(
    backend: Backend,
    boxId: string,
    path: BoxPath,
    options: WatchOptions,
  ): Promise<OpenFileWatch> {
    const bytes = pathBytes(path);
    requireOptions(options, { recursive: true, signal: true });
    const { recursive = false, signal } = options;
    requireFlags({ recursive });
    requireSignal(signal);
    signal?.throwIfAborted();
    requireCapability(backend.capabilities, "watch", HINT);
    const { life, end } = following(signal);
    try {
      const opening = backend.watchFiles!(boxId, bytes, { recursive, signal: life.signal });
      const changes = await untilAborted(opening, life.signal);
      return new OpenFileWatch(changes[Symbol.asyncIterator](), life, end);
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Resolves to the next change. One that is awaited when the watch is ended resolves to the end. */
  async next(): Promise<IteratorResult<FileEvent, void>> {
    if (this.ended) return { done: true, value: undefined };
    try {
      const next = await untilAborted(this.changes.next(), this.life.signal);
      if (!next.done) return { done: false, value: eventOf(next.value) };
    } catch (error) {
      this.forget();
      if (!this.ended) throw error;
    }
    return this.return();
  }

  /** Ends the watch. Idempotent. */
  async return(): Promise<IteratorResult<FileEvent, void>> {
    this.ended = true;
    this.forget();
    this.life.abort(new Error("the watch was ended"));
    // A backend may wait for its next change before it ends.
    void this.changes.return?.()?.catch(() => {});
    return { done: true, value: undefined };
  }
}

function eventOf(change: FileChange): FileEvent {
  const { type, path: pathBytes } = change;
  const path = textOf(pathBytes);
  if (type !== "renamed") return { type, path, pathBytes };
  const { from: fromBytes } = change;
  return { type, path, pathBytes, from: textOf(fromBytes), fromBytes };
}

function textOf(path: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(path);
}
