import { EventQueue } from "../../util/event-queue.js";
import type { MemoryTree } from "../volumes/memory-tree.js";
import { type TreeEvent, watchTree } from "../volumes/tree-events.js";
import type { VolumeEvent } from "./memory-volume-types.js";

const OVERFLOW: VolumeEvent = { type: "overflow", path: "/" };

/** Returns the changes of a tree from now on, as one who watches its paths reads them. */
export function watchVolume(tree: MemoryTree, signal: AbortSignal | undefined): EventQueue<VolumeEvent> {
  const queue = new EventQueue<VolumeEvent>({ overflow: OVERFLOW, signal });
  return queue.feed(() => watchTree(tree, (event) => queue.push(eventOf(event))));
}

function eventOf(event: TreeEvent): VolumeEvent {
  const { type } = event;
  if (type === "overflow") return OVERFLOW;
  return type === "renamed"
    ? { type, path: textOf(event.to), from: textOf(event.path) }
    : { type, path: textOf(event.path) };
}

/** Returns the text of a path that has a character for each byte. */
function textOf(path: string): string {
  return new TextDecoder().decode(Uint8Array.from(path, (byte) => byte.charCodeAt(0)));
}
