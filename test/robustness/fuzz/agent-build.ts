import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
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
const FILES =
  "main dispatch streams frames exec ends sessions terminal pipes files operations box flush port give-up".split(
    " ",
  );

/** The agent, watched by sanitizers. */
export interface Watched {
  path: string;
  /** Why there is none. */
  skipped?: string;
}

/** Builds the agent for this machine, or says why that cannot be done. */
export function buildWatched(sources: string = SOURCES): Watched {
  if (process.platform !== "linux" || process.arch !== "x64")
    return {
      path: "",
      skipped: `the agent runs on x86-64 Linux, not on ${process.platform} ${process.arch}`,
    };
  const folder = mkdtempSync(join(tmpdir(), "boxrun-watched-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "agent");
  const files = FILES.map((name) => join(sources, `${name}.c`));
  const { status, stderr, error } = spawnSync("gcc", [...FLAGS, "-o", path, ...files], { encoding: "utf8" });
  if (status === 0) return { path };
  rmSync(folder, { recursive: true });
  const why = error?.message ?? stderr.trim().split("\n").at(-1);
  return {
    path: "",
    skipped: `gcc here cannot build for i386 with sanitizers (Debian: gcc-multilib): ${why}`,
  };
}
