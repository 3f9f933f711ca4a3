import { lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { BoxRunError, invalid } from "../../backend/errors.js";

/** What the system's addresses hold, in bytes. Node cuts longer ones off without a word, and listens there. */
const MAX_PATH_BYTES = process.platform === "linux" ? 107 : 103;

/** VALIDATION_ERROR for a path that no socket can have. */
export function requireSocketPath(path: unknown): void {
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw invalid("socketPath must be the path of a socket");
  }
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_PATH_BYTES) return;
  const why = `the path of a socket has at most ${MAX_PATH_BYTES} bytes, and this has ${bytes}: ${path}`;
  throw invalid(why, "choose a shorter one");
}

/** Removes the socket that a dead server has left, and nothing else. RUNTIME_ERROR when a live one answers, or something else is there. */
export async function clearSocket(path: string): Promise<void> {
  const asked = identityOf(path);
  if (asked === undefined) return;
  if (await answers(path)) {
    throw new BoxRunError("RUNTIME_ERROR", `another server listens on ${path}`, { hint: "stop it first" });
  }
  // Meanwhile another server may have cleared it, too, and listens there.
  if (identityOf(path) === asked) rmSync(path, { force: true });
}

/** Of the socket that lies under a name now; undefined for nothing. Numbers of files alone are used again. */
function identityOf(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats && !stats.isSocket()) {
    throw new BoxRunError("RUNTIME_ERROR", `cannot listen on ${path}: it is there, and is no socket`, {
      hint: "choose another path, or remove it yourself",
    });
  }
  return stats && `${stats.ino}/${stats.ctimeNs}`;
}

/** Whether anybody listens on a socket. */
function answers(path: string): Promise<boolean> {
  return new Promise<boolean>((resolve, reject) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      // Nobody listens, or it was cleared meanwhile. Anything else is no socket of a dead server.
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") return resolve(false);
      reject(new BoxRunError("RUNTIME_ERROR", `cannot listen on ${path}: ${error.message}`));
    });
  });
}
