import type { FolderSource, MemorySource, VolumeSource } from "../../backend/backend.js";
import { BoxRunError, invalid, unsupported } from "../../backend/errors.js";
import { untilAborted } from "../../util/abort.js";
import type { Host } from "../host/host.js";
import type { BoxStore, KeptFolder } from "../store/box-store.js";
import type { FolderHandle } from "../volumes/folder-handles.js";
import type { WriteFailure } from "../volumes/folder-writer.js";
import type { GivenFolder, OpenFolder } from "../volumes/open-folder.js";
import type { TreeOriginal } from "../volumes/tree-original.js";
import { pathInBox, type VolumeMount } from "./box-volumes.js";
import { originalOf } from "./memory-volume.js";

/** Time to write everything to the folders of a box that ends. */
const FLUSH_MS = 60_000;
/** Files that a message names. */
const MAX_NAMED = 3;

const SOURCE_HINT =
  "such volumes are not stored: give those of the creation at each start, { volumes: [{ source, guestPath }] }";

/** Source of a volume that is no directory of the host. */
type Source = MemorySource | FolderSource;

/**
 * Returns the sources of volumes, in the order of the mounts; undefined for directories of the host.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when one is missing, given twice, of another kind, or none of the box's
 */
function sourcesOf(
  mounts: readonly VolumeMount[],
  given: readonly VolumeSource[] = [],
): (Source | undefined)[] {
  const sources = new Map<string, Source>();
  for (const [index, { source, guestPath }] of given.entries()) {
    const path = pathInBox(guestPath, `volumes[${index}].guestPath`);
    const kind = source.kind === "memory" ? "memory" : "folder";
    if (!mounts.some((mount) => mount.guestPath === path && "source" in mount && mount.source === kind))
      throw invalid(
        `the box has no ${kind === "memory" ? "volume in memory" : "folder"} at ${JSON.stringify(path)}`,
        SOURCE_HINT,
      );
    if (sources.has(path)) throw invalid(`volumes has two sources for ${JSON.stringify(path)}`);
    if (source.kind === "memory") originalOf(source);
    sources.set(path, source);
  }
  return mounts.map((mount) => {
    if ("hostPath" in mount) return undefined;
    const source = sources.get(mount.guestPath);
    if (source) return source;
    throw invalid(`the volume at ${JSON.stringify(mount.guestPath)} needs its source`, SOURCE_HINT);
  });
}

/**
 * Checks the sources of a box's volumes.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when one is missing or cannot be one; UNSUPPORTED where there are no such volumes
 */
export async function requireSources(
  host: Host,
  mounts: readonly VolumeMount[],
  given: readonly VolumeSource[] | undefined,
): Promise<void> {
  const folders = foldersOf(mounts, sourcesOf(mounts, given)).filter((folder) => folder !== undefined);
  if (folders.length === 0) return;
  if (typeof host.folders === "string") throw unsupported(`volumes: ${host.folders}`);
  await (await import("../volumes/open-folder.js")).requireFolders(folders);
}

/** Returns the sources that a start was given, with the folders of the box's page that are kept and were not given again. */
export async function withKept(
  store: BoxStore,
  id: string,
  mounts: readonly VolumeMount[],
  given: readonly VolumeSource[] = [],
): Promise<readonly VolumeSource[]> {
  const paths = given.map(({ guestPath }, index) => pathInBox(guestPath, `volumes[${index}].guestPath`));
  const wanted = mounts
    .filter((mount) => "source" in mount && mount.source === "folder" && !paths.includes(mount.guestPath))
    .map(({ guestPath }) => guestPath);
  if (wanted.length === 0) return given;
  const kept = await store.readFolders?.(id);
  const known = (Array.isArray(kept) ? kept : []) as Partial<VolumeSource>[];
  const found = known.filter(
    (folder) => wanted.includes(folder?.guestPath as string) && folder.source?.kind === "directory",
  );
  return [...given, ...(found as VolumeSource[])];
}

/** The volumes of a box that are in memory or folders of its page, while it runs. */
export class BoxSources {
  /** Trees, in the order of the mounts; undefined for directories of the host. */
  readonly originals: readonly (TreeOriginal | undefined)[];

  private readonly kept: readonly KeptFolder[];

  private constructor(
    mounts: readonly VolumeMount[],
    sources: readonly (Source | undefined)[],
    private readonly folders: readonly (OpenFolder | undefined)[],
  ) {
    this.originals = sources.map((source, index) =>
      source?.kind === "memory" ? originalOf(source) : folders[index]?.original,
    );
    this.kept = sources.flatMap((source, index) =>
      source?.kind === "directory" ? [{ guestPath: mounts[index]!.guestPath, source }] : [],
    );
  }

  /** Opens the volumes of a box. @throws {BoxRunError} VALIDATION_ERROR when one cannot be opened */
  static async open(
    mounts: readonly VolumeMount[],
    given: readonly VolumeSource[] | undefined,
  ): Promise<BoxSources> {
    const sources = sourcesOf(mounts, given);
    const opened: (OpenFolder | undefined)[] = [];
    try {
      for (const folder of foldersOf(mounts, sources))
        opened.push(folder && (await (await import("../volumes/open-folder.js")).openFolder(folder)));
    } catch (error) {
      for (const folder of opened) folder?.close();
      throw error;
    }
    return new BoxSources(mounts, sources, opened);
  }

  /** Keeps the folders with the box, where they can be kept. */
  async keep(store: BoxStore, id: string): Promise<void> {
    if (this.kept.length > 0) await store.keepFolders?.(id, this.kept);
  }

  /** Writes to the folders what is not in them yet, and gives them up. Resolves to the error that names what could not be written. */
  async end(): Promise<BoxRunError | undefined> {
    const late = AbortSignal.timeout(FLUSH_MS);
    try {
      const failures: WriteFailure[] = [];
      for (const folder of this.folders)
        if (folder) failures.push(...(await untilAborted(folder.flush(), late)));
      return failures.length > 0 ? unwritten(failures) : undefined;
    } catch (cause) {
      return new BoxRunError("RUNTIME_ERROR", `a folder was not written within ${FLUSH_MS} ms`, { cause });
    } finally {
      this.close();
    }
  }

  /** Gives all folders up. Idempotent. */
  close(): void {
    for (const folder of this.folders) folder?.close();
  }
}

function foldersOf(
  mounts: readonly VolumeMount[],
  sources: readonly (Source | undefined)[],
): (GivenFolder | undefined)[] {
  return sources.map((source, index) => {
    if (source?.kind !== "directory") return undefined;
    const { guestPath, readonly } = mounts[index]!;
    return { handle: source as FolderHandle, readonly, guestPath };
  });
}

function unwritten(failures: readonly WriteFailure[]): BoxRunError {
  const named = failures.slice(0, MAX_NAMED).map(({ name, error }) => `${name} (${error.errno})`);
  const what = failures.length === 1 ? "1 entry" : `${failures.length} entries`;
  const isFull = failures.some(({ error }) => error.errno === "ENOSPC");
  return new BoxRunError(
    isFull ? "STORAGE_FULL" : "RUNTIME_ERROR",
    `${what} of the box's folders could not be written: ${named.join(", ")}`,
    { cause: failures[0]!.error, hint: "what the box had written to them since is lost" },
  );
}
