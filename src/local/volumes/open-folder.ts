import { invalid, unsupported } from "../../backend/errors.js";
import { watchFolder } from "./folder-changes.js";
import { type FolderHandle, folderErrorOf } from "./folder-handles.js";
import { FolderStore } from "./folder-store.js";
import type { WriteFailure } from "./folder-writer.js";
import type { TreeOriginal } from "./tree-original.js";

/** A folder that is to be a volume. */
export interface GivenFolder {
  handle: FolderHandle;
  readonly: boolean;
  /** Path in the box, for messages. */
  guestPath: string;
}

/** A folder that is a volume of a box, until it is closed. */
export interface OpenFolder {
  readonly original: TreeOriginal;
  /** Writes to the folder what is not in it yet, and resolves to what could not be written. */
  flush(): Promise<WriteFailure[]>;
  /** Gives the folder up. The last one who does so ends its volume. */
  close(): void;
}

interface Shared {
  handle: FolderHandle;
  store: FolderStore;
  /** Resolves once the tree shows the folder. */
  loaded: Promise<void>;
  users: number;
  /** Ends the look-out for changes by others. */
  stop: () => void;
}

/** Folders that are volumes now: all boxes that mount one share its tree. */
const SHARED = new Set<Shared>();
let opening: Promise<unknown> = Promise.resolve();

/**
 * Checks that folders can be volumes of a box.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when one is no folder, the same as another, or may not be used; UNSUPPORTED when the browser cannot write to any
 */
export async function requireFolders(folders: readonly GivenFolder[]): Promise<void> {
  for (const [index, folder] of folders.entries()) {
    await requireFolder(folder);
    for (const other of folders.slice(0, index))
      if (await folder.handle.isSameEntry(other.handle))
        throw invalid(
          `the volumes at ${JSON.stringify(other.guestPath)} and ${JSON.stringify(folder.guestPath)} are the same folder`,
          "mount it once, and make a link to it in the box",
        );
  }
}

/** Opens a folder as a volume. @throws {BoxRunError} VALIDATION_ERROR when it cannot be read */
export async function openFolder({ handle, guestPath }: GivenFolder): Promise<OpenFolder> {
  // One after the other: two that are opened at once may be the same.
  const found = opening.then(async () => {
    const shared = (await findShared(handle)) ?? share(handle);
    shared.users++;
    return shared;
  });
  opening = found.catch(() => {});
  const shared = await found;
  let isClosed = false;
  const close = () => {
    if (isClosed) return;
    isClosed = true;
    if (--shared.users > 0) return;
    SHARED.delete(shared);
    shared.stop();
    shared.store.close();
  };
  try {
    await shared.loaded;
  } catch (cause) {
    close();
    const { errno } = folderErrorOf(cause);
    const why = errno === "ENOSPC" ? "it has more than 262,143 entries" : `the browser says ${String(cause)}`;
    throw invalid(
      `the folder at ${JSON.stringify(guestPath)} cannot be read: ${why} (${errno})`,
      "give a folder that is there and that this page may read",
    );
  }
  return { original: shared.store.original, flush: () => shared.store.flush(), close };
}

async function findShared(handle: FolderHandle): Promise<Shared | undefined> {
  for (const shared of [...SHARED])
    if ((await shared.handle.isSameEntry(handle)) && SHARED.has(shared)) return shared;
  return undefined;
}

function share(handle: FolderHandle): Shared {
  const store = new FolderStore(handle);
  const loaded = store.exclusively(() => store.mirror.takeAll());
  // Nothing that changes while the folder is read is missed: it is looked at afterwards.
  const shared = { handle, store, loaded, users: 0, stop: watchFolder(store) };
  SHARED.add(shared);
  return shared;
}

async function requireFolder({ handle, readonly, guestPath }: GivenFolder): Promise<void> {
  if (typeof handle.entries !== "function" || typeof handle.isSameEntry !== "function")
    throw invalid(
      `the source of the volume at ${JSON.stringify(guestPath)} must be a FileSystemDirectoryHandle`,
      "showDirectoryPicker() and navigator.storage.getDirectory() return one",
    );
  const mode = readonly ? "read" : "readwrite";
  const permission = (await handle.queryPermission?.({ mode })) ?? "granted";
  if (permission !== "granted")
    throw invalid(
      `the folder at ${JSON.stringify(guestPath)} needs the user's permission to ${mode === "read" ? "read" : "read and write"} it, which is "${permission}"`,
      `call handle.requestPermission({ mode: "${mode}" }) in a click`,
    );
  const { FileSystemFileHandle: files } = globalThis as { FileSystemFileHandle?: { prototype: object } };
  if (!readonly && files && !("createWritable" in files.prototype))
    throw unsupported("volumes: this browser lets no page write to a folder", "add readonly: true");
}
