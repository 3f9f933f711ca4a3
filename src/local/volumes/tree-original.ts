import { type Deferred, deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { VolumeError, volumeErrorOf } from "./errno.js";
import type { MemoryNode } from "./memory-nodes.js";
import type { MemoryTree } from "./memory-tree.js";
import type { TreeChange, TreeDump } from "./tree-changes.js";
import { changeCost, type ToOriginal, type ToReplica, type TreeRequest } from "./tree-messages.js";
import { performRequest } from "./tree-requests.js";

/** Bytes of changes on their way to a replica beyond which nothing more is changed. */
const MAX_WAITING_BYTES = 16 * 2 ** 20;
/** Time in which a replica that is so far behind has to take something. */
const LIMIT_MS = 30_000;

/** Requests that change nothing. */
const HARMLESS: unknown[] = ["load", "sync", "closed"] satisfies TreeRequest["op"][];

/** A place outside of the tree in which its files are stored. */
export interface TreeStore {
  /**
   * Gets ready for a request, which is untrusted; undefined when there is nothing more to wait for.
   *
   * @throws {VolumeError} when the store cannot do what is asked for; by a rejection, too
   */
  prepare(request: Partial<Record<string, unknown>>): Promise<void> | undefined;
  /** Resolves once a file or a directory is stored as it is now. @throws {VolumeError} when it cannot be */
  sync(inode: number): Promise<void>;
}

/** Posts a message to a replica. */
export type PostToReplica = (message: ToReplica, transfer: ArrayBuffer[]) => void;

/** Options of {@link TreeOriginal.serve}. */
export interface FeedOptions {
  /** Whether the replica may not change the tree. */
  readonly: boolean;
  post: PostToReplica;
}

/** A tree of which there are replicas in other threads. They read what they have, and ask this one for all changes, so that there is one order of them. */
export class TreeOriginal {
  readonly #feeds = new Set<TreeFeed>();

  constructor(
    readonly tree: MemoryTree,
    private readonly limitMs = LIMIT_MS,
    private readonly store?: TreeStore,
  ) {}

  /** Sends the tree to a replica, and from then on its changes. */
  serve({ readonly, post }: FeedOptions): TreeFeed {
    const feed: TreeFeed = new TreeFeed(this.tree, {
      readonly,
      post,
      limitMs: this.limitMs,
      store: this.store,
      ready: () => this.ready(),
      onClosed: () => this.#feeds.delete(feed),
    });
    this.#feeds.add(feed);
    return feed;
  }

  /** Waits until every replica has taken most of the changes. Whoever changes the tree does so first; undefined when there is no need to. */
  ready(): Promise<void> | undefined {
    const slow = [...this.#feeds].map((feed) => feed.caughtUp()).filter((wait) => wait !== undefined);
    if (slow.length > 0) return Promise.all(slow).then(() => this.ready());
    return undefined;
  }
}

interface FeedParts extends FeedOptions {
  limitMs: number;
  store: TreeStore | undefined;
  ready(): Promise<void> | undefined;
  onClosed(): void;
}

/** The original's side of one replica. */
export class TreeFeed {
  /** Nodes without a name that the replica may still have open, by their inode numbers. */
  readonly #kept = new Map<number, MemoryNode>();
  readonly #stop: () => void;
  #waitingBytes = 0;
  #caughtUp: Deferred<void> | undefined;
  #stopTimer: () => void = () => {};
  #closed = false;
  /** Whether the replica has asked for what is changed now. */
  #isPerforming = false;

  constructor(
    private readonly tree: MemoryTree,
    private readonly parts: FeedParts,
  ) {
    this.#stop = tree.follow({
      onChange: (change, isNamed) => this.#send(change, isNamed),
      onUnnamed: (node) => this.#kept.set(node.stat().inode, node),
    });
    const dump = tree.dump();
    const isStored = parts.store !== undefined;
    parts.post({ type: "tree", dump, limits: tree.limits, isStored }, buffersOf(dump));
  }

  /** Takes a message from the replica, which is untrusted. */
  receive(message: ToOriginal): void {
    if (this.#closed) return;
    switch (message?.type) {
      case "ask":
        return this.#answer(message.id, message.request);
      case "release":
        this.#kept.get(message.inode)?.close();
        this.#kept.delete(message.inode);
        return;
      case "took":
        return this.#noteTaken(message.bytes);
    }
  }

  /** Ends it, and gives up all that was kept for the replica. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop();
    for (const node of this.#kept.values()) node.close();
    this.#kept.clear();
    this.#settle();
    this.parts.onClosed();
  }

  /** Waits for a replica that is behind; undefined when it is not. If it takes nothing for too long, it is given up. */
  caughtUp(): Promise<void> | undefined {
    if (this.#closed || this.#waitingBytes < MAX_WAITING_BYTES) return undefined;
    if (!this.#caughtUp) {
      this.#caughtUp = deferred();
      this.#startTimer();
    }
    return this.#caughtUp.promise;
  }

  #send(change: TreeChange, isNamed: boolean): void {
    if (!isNamed && !this.#kept.has(change.inode)) return;
    this.#waitingBytes += changeCost(change);
    this.parts.post({ type: "change", change, isOwn: this.#isPerforming }, []);
  }

  #answer(id: number, request: unknown): void {
    if (this.#closed) return;
    const refuse = (error: unknown) => this.#refuse(id, error);
    const fields = (typeof request === "object" && request) || {};
    try {
      if (this.parts.readonly && !HARMLESS.includes((fields as TreeRequest).op))
        throw new VolumeError("EROFS");
      const wait = this.parts.ready() ?? this.parts.store?.prepare({ ...fields });
      // Whatever it waited for may be gone again.
      if (wait) return void wait.then(() => this.#answer(id, request), refuse);
      const synced = (fields as TreeRequest).op === "sync" && this.#sync(fields as TreeRequest);
      if (synced) return void synced.then(() => this.#perform(id, request), refuse);
    } catch (error) {
      return refuse(error);
    }
    this.#perform(id, request);
  }

  #sync(request: TreeRequest): Promise<void> | undefined {
    const { inode } = request as { inode?: unknown };
    return Number.isSafeInteger(inode) ? this.parts.store?.sync(inode as number) : undefined;
  }

  #refuse(id: number, error: unknown): void {
    if (!this.#closed) this.parts.post({ type: "answer", id, errno: volumeErrorOf(error).errno }, []);
  }

  #perform(id: number, request: unknown): void {
    if (this.#closed) return;
    this.#isPerforming = true;
    try {
      const result = performRequest(request, (inode) => this.#find(inode));
      this.parts.post({ type: "answer", id, result }, []);
    } catch (error) {
      this.#refuse(id, error);
    } finally {
      this.#isPerforming = false;
    }
  }

  /** Finds a file by its number. One without a name has to be one that this replica has open. */
  #find(inode: number): MemoryNode {
    const node = this.tree.node(inode);
    if (node.stat().links > 0 || this.#kept.has(inode)) return node;
    node.close();
    throw new VolumeError("ESTALE");
  }

  #noteTaken(bytes: number): void {
    if (!(bytes > 0)) return;
    this.#waitingBytes = Math.max(0, this.#waitingBytes - bytes);
    if (this.#waitingBytes < MAX_WAITING_BYTES) this.#settle();
    else if (this.#caughtUp) this.#startTimer();
  }

  #startTimer(): void {
    this.#stopTimer();
    this.#stopTimer = startTimer(this.parts.limitMs, () => {
      this.parts.post({ type: "lost" }, []);
      this.close();
    });
  }

  #settle(): void {
    this.#stopTimer();
    this.#caughtUp?.resolve();
    this.#caughtUp = undefined;
  }
}

/** Returns the buffers of a dump, which nobody else has. */
function buffersOf({ changes }: TreeDump): ArrayBuffer[] {
  return changes.flatMap((change) => (change.type === "written" ? [change.bytes.buffer as ArrayBuffer] : []));
}
