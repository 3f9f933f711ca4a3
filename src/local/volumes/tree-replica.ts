import { type Deferred, deferred } from "../../util/deferred.js";
import { VolumeError } from "./errno.js";
import type { MemoryNode } from "./memory-nodes.js";
import { MemoryTree } from "./memory-tree.js";
import type { TreeChange } from "./tree-changes.js";
import { watchTree } from "./tree-events.js";
import { changeCost, type ToOriginal, type ToReplica, type TreeRequest } from "./tree-messages.js";

/** Bytes of changes after which the original is told that they were applied. */
const TOOK_STEP_BYTES = 2 ** 20;

/** Changes of a file, with or without a name. */
const OF_A_FILE: readonly TreeChange["type"][] = ["written", "resized", "away", "loaded", "changed"];

/** A request that has not been answered. */
interface Asked {
  /** Takes the answer, before any later change is applied. */
  answer(result: number): void;
  fail(error: VolumeError): void;
}

/**
 * A copy of a tree whose original is in another thread. What only reads is answered from the copy, at once. What changes the tree is done by the original, and has come back as changes of
 * the copy when its answer is here. Whatever is open stays so when it loses its last name: the original keeps it until this side has closed it.
 */
export class TreeReplica {
  readonly #loaded = deferred<void>();
  readonly #asked = new Map<number, Asked>();
  #tree: MemoryTree | undefined;
  #nextId = 0;
  #takenBytes = 0;
  #lost = false;
  #isStored = false;
  /** Whether this side has asked for the change that is applied. */
  #isOwn = false;

  constructor(private readonly post: (message: ToOriginal, transfer: ArrayBuffer[]) => void) {
    // Nobody may wait for it.
    this.#loaded.promise.catch(() => {});
  }

  /** Resolves once the tree is here. @throws {VolumeError} EIO when it does not come */
  get loaded(): Promise<void> {
    return this.#loaded.promise;
  }

  /** Returns the copy. @throws {VolumeError} EIO when it is not up to date any more */
  tree(): MemoryTree {
    if (!this.#tree || this.#lost) throw new VolumeError("EIO");
    return this.#tree;
  }

  /** Takes a message from the original. */
  receive(message: ToReplica): void {
    if (this.#lost) return;
    switch (message.type) {
      case "tree":
        return this.#load(message);
      case "change":
        return this.#apply(message);
      case "answer": {
        const asked = this.#asked.get(message.id);
        this.#asked.delete(message.id);
        if ("errno" in message) return asked?.fail(new VolumeError(message.errno));
        return asked?.answer(message.result);
      }
      case "lost":
        return this.close();
    }
  }

  /** Asks the original for a change, and resolves to its answer. @throws {VolumeError} what the original says; EIO when it is gone */
  ask(request: TreeRequest): Promise<number> {
    return this.#ask(request, (result) => result);
  }

  /** Asks the original for something new, and resolves to its node. */
  make(request: TreeRequest): Promise<MemoryNode> {
    return this.#ask(request, (inode) => this.tree().node(inode));
  }

  /** Whether there is a store below the tree. */
  get isStored(): boolean {
    return this.#isStored;
  }

  /** Loads the contents of a file from the store below the tree, and does something with them before they can change. */
  load<T>(inode: number, use: () => T): Promise<T> {
    return this.#ask({ op: "load", inode }, use);
  }

  /** Calls back with the path of what others have changed, and with the directory of what is gone, until the returned function is called. */
  watchForeign(onChange: (path: string) => void): () => void {
    return watchTree(this.tree(), (event) => {
      if (this.#isOwn || event.type === "overflow") return;
      const { type, path } = event;
      if (type === "renamed" || type === "removed") onChange(path.slice(0, path.lastIndexOf("/")));
      if (type === "renamed") onChange(event.to);
      else if (type !== "removed") onChange(path === "/" ? "" : path);
    });
  }

  /** Ends it: all that is asked for, now and later, fails with EIO. Idempotent. */
  close(): void {
    this.#lost = true;
    this.#loaded.reject(new VolumeError("EIO"));
    for (const asked of this.#asked.values()) asked.fail(new VolumeError("EIO"));
    this.#asked.clear();
  }

  #ask<T>(request: TreeRequest, use: (result: number) => T): Promise<T> {
    if (this.#lost) throw new VolumeError("EIO");
    const done: Deferred<T> = deferred();
    const id = this.#nextId++;
    const answer = (result: number) => {
      try {
        done.resolve(use(result));
      } catch (error) {
        done.reject(error);
      }
    };
    this.#asked.set(id, { answer, fail: done.reject });
    this.post({ type: "ask", id, request }, "bytes" in request ? [request.bytes.buffer as ArrayBuffer] : []);
    return done.promise;
  }

  #load({ dump, limits, isStored }: ToReplica & { type: "tree" }): void {
    this.#isStored = isStored;
    try {
      this.#tree = MemoryTree.load(dump, limits);
    } catch {
      return this.close();
    }
    this.#tree.onForgotten = (inode) => this.#lost || this.post({ type: "release", inode }, []);
    this.#loaded.resolve();
  }

  #apply({ change, isOwn }: ToReplica & { type: "change" }): void {
    this.#isOwn = isOwn;
    try {
      if (!this.#isForgotten(change)) this.tree().apply(change);
    } catch {
      // It would differ from now on.
      return this.close();
    }
    this.#takenBytes += changeCost(change);
    if (this.#takenBytes < TOOK_STEP_BYTES) return;
    this.post({ type: "took", bytes: this.#takenBytes }, []);
    this.#takenBytes = 0;
  }

  /** Returns true for a change of a file without a name, which came before the original knew that nobody here has it open. */
  #isForgotten({ type, inode }: TreeChange): boolean {
    return OF_A_FILE.includes(type) && !this.tree().has(inode);
  }
}
