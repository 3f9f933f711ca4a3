import type { ChildProcess } from "node:child_process";
import { BoxRunError, invalid, isBoxRunError, refusedPermission } from "../../backend/errors.js";
import type { HostDirectory } from "./file-calls.js";
import { FileProcess, startFileProcess } from "./file-process-client-node.js";
import { openHostDirectory } from "./host-directory-node.js";
import type { OpenedVolume } from "./mount.js";
import { MountTable } from "./mount-table-node.js";
import { ProcessRoot } from "./process-nodes-node.js";
import type { Later } from "./volume-files.js";

/** Time to open a directory, with the start of the process. */
const OPEN_MS = 10_000;
/** Time for a call on its files. */
const CALL_MS = 30_000;

/**
 * Opens a directory of the host: here if it is on a disk of this machine, where calls take microseconds and end, and otherwise by a process of its own.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when it is none, cannot be read, does not answer, or is not within the allowed ones; UNSUPPORTED when the runtime does not permit it
 */
export function openDirectory(
  directory: HostDirectory,
  mounts: MountTable = new MountTable(),
): Later<OpenedVolume> {
  const { hostPath, within } = directory;
  if (mounts.mayHangWithin(hostPath)) {
    // Those that answer come first, and one that has the directory ends the search.
    const sorted = within?.toSorted((a, b) => Number(mounts.mayHang(a)) - Number(mounts.mayHang(b)));
    return openApart({ ...directory, ...(sorted && { within: sorted }) });
  }
  // What is on a disk of this machine is in none of the others.
  const near = within?.filter((path) => !mounts.mayHang(path));
  return openHostDirectory({ ...directory, ...(near && { within: near }) });
}

/** Options of {@link openApart}, for tests. */
interface OpenApartOptions {
  /** Starts the process. */
  start?: () => ChildProcess;
  /** Time to open the directory, in milliseconds. @default 10000 */
  openMs?: number;
  /** Time for a call on its files, in milliseconds. @default 30000 */
  callMs?: number;
}

/** Opens a directory by a process of its own. */
export async function openApart(
  directory: HostDirectory,
  { start = startFileProcess, openMs = OPEN_MS, callMs = CALL_MS }: OpenApartOptions = {},
): Promise<OpenedVolume> {
  let process: FileProcess | undefined;
  try {
    process = new FileProcess(start(), openMs);
    const root = await process.call("volume", directory);
    process.allow(callMs);
    return { root: new ProcessRoot(process, root), device: root.device, readonly: directory.readonly };
  } catch (error) {
    process?.kill();
    if (isBoxRunError(error)) throw error;
    throw (
      refusedPermission(error) ?? unopened(directory.hostPath, process?.hasHung ? openMs : undefined, error)
    );
  }
}

/** Creates the error of a directory that did not answer in so many milliseconds, or whose process did not run. */
function unopened(hostPath: string, limitMs: number | undefined, cause: unknown): BoxRunError {
  const path = JSON.stringify(hostPath);
  if (limitMs === undefined)
    return new BoxRunError("RUNTIME_ERROR", `the process that opens the volume ${path} does not run`, {
      cause,
    });
  return invalid(
    `the hostPath of a volume must be a directory, but ${path} did not answer within ${limitMs / 1000} s`,
    "look whether its server or file system still works: ls hangs there, too",
  );
}
