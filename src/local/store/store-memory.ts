import type { BoxStore, Release } from "./box-store.js";

interface MemoryBox {
  record: object;
  history: object[];
  disk: Uint8Array | undefined;
  locked: boolean;
}

/** Creates a store in memory: where nothing can be stored, for the reason `why`, and when the caller asks for it. */
export function memoryStore(why: string | false): BoxStore {
  const boxes = new Map<string, MemoryBox>();
  let queue: Promise<unknown> = Promise.resolve();

  const lock = (box: MemoryBox): Release => {
    box.locked = true;
    let held = true;
    return async () => {
      if (held) box.locked = false;
      held = false;
    };
  };

  return {
    persistent: why,
    list: async () => [...boxes.keys()],
    create: async (id, record) => {
      const box = { record: structuredClone(record), history: [], disk: undefined, locked: false };
      boxes.set(id, box);
      return lock(box);
    },
    lock: async (id) => {
      const box = boxes.get(id);
      if (!box) return async () => {};
      return box.locked ? null : lock(box);
    },
    isLocked: async (id) => boxes.get(id)?.locked ?? false,
    exclusively: (work) => {
      const done = queue.then(work);
      queue = done.catch(() => {});
      return done;
    },
    readRecord: async (id) => structuredClone(boxes.get(id)?.record),
    writeRecord: async (id, record) => {
      const box = boxes.get(id);
      if (box) box.record = structuredClone(record);
    },
    readHistory: async (id) => boxes.get(id)?.history ?? [],
    appendHistory: async (id, entries) => void boxes.get(id)?.history.push(...entries),
    replaceHistory: async (id, entries) => {
      const box = boxes.get(id);
      if (box) box.history = [...entries];
    },
    diskLocation: () => null,
    diskUsage: async (id) => boxes.get(id)?.disk?.byteLength ?? 0,
    keptDisk: (id) => boxes.get(id)?.disk,
    keepDisk: (id, contents) => {
      const box = boxes.get(id);
      if (box) box.disk = contents;
    },
    remove: async (id) => void boxes.delete(id),
  };
}
