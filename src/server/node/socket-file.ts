import { lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { BoxRunError, invalid } from "../../backend/errors.js";

/** Longest path of a socket that the system can hold, in bytes. Node truncates longer ones silently, and listens at the shorter path. */
const MAX_PATH_BYTES = process.platform === "linux" ? 107 : 103;

/** Checks the path of a socket. @throws {BoxRunError} VALIDATION_ERROR when no socket can have it */
export function requireSocketPath(path: unknown): void {
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw invalid("socketPath must be the path of a socket");
  }
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_PATH_BYTES) return;
  const why = `the path of a socket must be at most ${MAX_PATH_BYTES} bytes, got ${bytes}: ${path}`;
  throw invalid(why, "choose a shorter one");
}

/**
 * Removes a socket that a dead server left behind, and nothing else.
 *
 * @throws {BoxRunError} RUNTIME_ERROR when a live server answers, or the file is not a socket
 */
export async function clearSocket(path: string): Promise<void> {
  const asked = identityOf(path);
  if (asked === undefined) return;
  if (await answers(path)) {
    throw new BoxRunError("RUNTIME_ERROR", `another server listens on ${path}`, { hint: "stop it first" });
  }
  // Another server may have cleared it meanwhile, and be listening there.
  if (identityOf(path) === asked) rmSync(path, { force: true });
}

/** Returns the identity of the socket that now has a path; undefined when there is no file. Inode numbers alone are not enough: they are reused. */
function identityOf(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats && !stats.isSocket()) {
    throw new BoxRunError("RUNTIME_ERROR", `cannot listen on ${path}: it exists and is not a socket`, {
      hint: "choose another path, or remove it yourself",
    });
  }
  return stats && `${stats.ino}/${stats.ctimeNs}`;
}

/** Checks whether anybody listens on a socket. */
function answers(path: string): Promise<boolean> {
  return new Promise<boolean>((resolve, reject) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      // Nobody listens, or it was cleared meanwhile. Any other file is not the socket of a dead server.
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") return resolve(false);
      reject(new BoxRunError("RUNTIME_ERROR", `cannot listen on ${path}: ${error.message}`));
    });
  });
}
