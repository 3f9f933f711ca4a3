import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../root.js";

const SOURCES = join(ROOT, "wasm/agent");
/** The agent is a program for i386: its system calls are. Beside musl's, the C library here has the names and sizes of 64 bits under others. */
const FLAGS = [
  ..."-m32 -std=c11 -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all".split(
    " ",
  ),
  ..."-static-libasan -static-libubsan -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -Dgetdents=getdents64".split(
    " ",
  ),
];
/** The agent, watched by sanitizers. */
export interface Watched {
  path: string;
  /** Why there is none. */
  skipped?: string;
}

/**
 * Builds the agent for this machine, or says why that cannot be done.
 * @throws {Error} if gcc can build for i386 with sanitizers, and yet not this
 */
export function buildWatched(sources: string = SOURCES): Watched {
  if (process.platform !== "linux" || process.arch !== "x64")
    return {
      path: "",
      skipped: `the agent runs on x86-64 Linux, not on ${process.platform} ${process.arch}`,
    };
  const folder = mkdtempSync(join(tmpdir(), "boxrun-watched-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "agent");
  const empty = join(folder, "empty.c");
  writeFileSync(empty, "int main(void) { return 0; }\n");
  const missing = compile(path, [empty]);
  if (missing !== undefined) {
    rmSync(folder, { recursive: true });
    return {
      path: "",
      skipped: `gcc here cannot build for i386 with sanitizers (Debian: gcc-multilib): ${missing.trim().split("\n").at(-1)}`,
    };
  }
  const files = readdirSync(sources).filter((name) => name.endsWith(".c"));
  const failure = compile(
    path,
    files.map((name) => join(sources, name)),
  );
  if (failure !== undefined) throw new Error(`the agent does not compile with sanitizers: ${failure}`);
  return { path };
}

/** Compiles and links a program. Returns what went wrong, if anything did. */
function compile(path: string, files: string[]): string | undefined {
  const { status, stderr, error } = spawnSync("gcc", [...FLAGS, "-o", path, ...files], { encoding: "utf8" });
  return status === 0 ? undefined : (error?.message ?? stderr);
}
