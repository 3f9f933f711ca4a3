import { accessSync, constants, realpathSync } from "node:fs";
import { isAbsolute } from "node:path";
import { type BoxRunError, invalid, refusedPermission } from "../../backend/errors.js";
import type { HostDirectory } from "./file-calls.js";
import { FileNode } from "./files-node.js";
import type { OpenedVolume } from "./mount.js";

const WHERE = "hostPath is a path of the machine that runs the box, not of its client";

/**
 * Opens a directory of the host. What was checked is what stays open, whatever happens to its path afterwards.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when it is none, cannot be read, or is not within the allowed ones; UNSUPPORTED when the runtime does not permit it
 */
export function openHostDirectory({
  hostPath,
  readonly,
  within,
}: HostDirectory): OpenedVolume & { root: FileNode } {
  if (!isAbsolute(hostPath)) throw wrong(hostPath, "is not absolute");
  let root: FileNode;
  try {
    root = FileNode.openRoot(hostPath);
  } catch (error) {
    // With bounds, it is usually a server that mounts it.
    throw refusedPermission(error) ?? wrong(hostPath, reasonOf(error), within && WHERE);
  }
  try {
    // The path has a character for each byte.
    accessSync(Buffer.from(root.realPath, "latin1"), constants.R_OK | constants.X_OK);
    if (within && !isWithin(root.realPath, within))
      throw wrong(
        hostPath,
        "is in none of the directories that boxes may have here",
        `boxrun serve --allow-volumes DIR allows DIR and what is in it; ${WHERE}`,
      );
    return { root, device: root.identity.device, readonly };
  } catch (error) {
    root.close();
    throw refusedPermission(error) ?? (isNodeError(error) ? wrong(hostPath, reasonOf(error)) : error);
  }
}

function isWithin(path: string, directories: readonly string[]): boolean {
  return directories.some((directory) => {
    const real = Buffer.from(realpathSync(directory)).toString("latin1");
    return path === real || path.startsWith(real.endsWith("/") ? real : `${real}/`);
  });
}

function wrong(hostPath: string, why: string, hint?: string): BoxRunError {
  const path = JSON.stringify(hostPath);
  return invalid(`the hostPath of a volume must be a directory, but ${path} ${why}`, hint);
}

function isNodeError(error: unknown): error is NodeJS.ErrnoException {
  return typeof (error as { code?: unknown }).code === "string" && "syscall" in (error as object);
}

function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "does not exist";
  if (code === "ENOTDIR") return "is not one";
  if (code === "EACCES" || code === "EPERM") return "cannot be read by this process";
  return `cannot be opened (${code})`;
}
