import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const HANGING_FILES = join(import.meta.dirname, "local/volumes/hung/hanging-files.py");

const LIMIT_MS = 20_000;

/** Returns the program and the arguments that run a command beside a file system that hangs, which is mounted at a directory for it alone. */
export function underFuse(directory: string, command: string[]): [string, string[]] {
  return [
    "unshare",
    ["--user", "--map-root-user", "--mount", "python3", HANGING_FILES, directory, ...command],
  ];
}

/** Returns why no such file system can be mounted on this machine; undefined when one can. It is tried, each time. */
export function whyNoFuse(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), "boxrun-fuse-"));
  try {
    const { status, stderr, error } = spawnSync(...underFuse(directory, ["true"]), {
      encoding: "utf8",
      timeout: LIMIT_MS,
    });
    if (status === 0) return undefined;
    const said = error?.message ?? stderr.trim().split("\n").at(-1);
    return `FUSE needs /dev/fuse, user namespaces and python3: ${said}`;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
