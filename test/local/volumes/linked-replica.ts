import { MessageChannel, type MessagePort } from "node:worker_threads";
import type { TreeFeed, TreeOriginal } from "../../../src/local/volumes/tree-original.js";
import { TreeReplica } from "../../../src/local/volumes/tree-replica.js";

/** A replica, and the original's side of it. */
export interface LinkedReplica {
  replica: TreeReplica;
  feed: TreeFeed;
  /** Ends both sides. */
  end(): void;
}

/** Makes a replica of a tree whose messages go through a real pair of ports, and waits until it is loaded. */
export async function linkReplica(original: TreeOriginal, { readonly = false } = {}): Promise<LinkedReplica> {
  const { port1, port2 } = new MessageChannel();
  const replica = new TreeReplica((message, transfer) => port2.postMessage(message, transfer));
  // Before the first message is posted: nothing else keeps the process alive.
  port2.on("message", (message) => replica.receive(message));
  const feed = original.serve({
    readonly,
    post: (message, transfer) => port1.postMessage(message, transfer),
  });
  port1.on("message", (message) => feed.receive(message));
  await replica.loaded;
  return { replica, feed, end: () => endAll(replica, feed, [port1, port2]) };
}

function endAll(replica: TreeReplica, feed: TreeFeed, ports: MessagePort[]): void {
  replica.close();
  feed.close();
  for (const port of ports) port.close();
}
