import { whenAborted } from "../../util/abort.js";
import { deferred } from "../../util/deferred.js";
import type { MemoryTree } from "../volumes/memory-tree.js";
import { type TreeEvent, watchTree } from "../volumes/tree-events.js";
import type { VolumeEvent } from "./memory-volume-types.js";

/** Number of events that wait for their reader. */
const MAX_WAITING = 4096;

/** The changes of a tree from now on, as one who watches its paths reads them. */
export class VolumeWatch implements AsyncIterableIterator<VolumeEvent, void, undefined> {
  #waiting: VolumeEvent[] = [];
  #changed = deferred();
  #ended = false;
  readonly #stopTree: () => void;
  readonly #ignoreSignal: () => void;

  constructor(
    tree: MemoryTree,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#stopTree = watchTree(tree, (event) => this.#take(event));
    this.#ignoreSignal = whenAborted(signal, () => this.#end());
  }

  async next(): Promise<IteratorResult<VolumeEvent, void>> {
    for (;;) {
      this.signal?.throwIfAborted();
      const value = this.#waiting.shift();
      if (value) return { done: false, value };
      if (this.#ended) return { done: true, value: undefined };
      await this.#changed.promise;
      this.#changed = deferred();
    }
  }

  async return(): Promise<IteratorResult<VolumeEvent, void>> {
    this.#waiting = [];
    this.#end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(): void {
    this.#ended = true;
    this.#stopTree();
    this.#ignoreSignal();
    this.#changed.resolve();
  }

  #take(event: TreeEvent): void {
    // One stands for all that are lost: whoever reads it looks at everything again.
    if (this.#waiting.length >= MAX_WAITING) this.#waiting = [{ type: "overflow", path: "/" }];
    this.#waiting.push(eventOf(event));
    this.#changed.resolve();
  }
}

function eventOf(event: TreeEvent): VolumeEvent {
  const { type } = event;
  return type === "renamed"
    ? { type, path: textOf(event.to), from: textOf(event.path) }
    : { type, path: textOf(event.path) };
}

/** Returns the text of a path that has a character for each byte. */
function textOf(path: string): string {
  return new TextDecoder().decode(Uint8Array.from(path, (byte) => byte.charCodeAt(0)));
}
