import { pause } from "../util/timer.js";
import type { FakeProgram } from "./fake-execution.js";

/** Name of the scripts of `box.files`. */
const NAME_OF_SCRIPTS = "boxrun";
const NO_SCRIPTS =
  "/bin/sh: not found: FakeBackend has no shell for copies, archives and the removal of directories: test those with a local box\n";

/** The programs that every fake box has. */
export const PROGRAMS: Readonly<Record<string, FakeProgram>> = {
  true: () => 0,
  false: () => 1,
  echo: ({ cmd, write }) => write(`${cmd.slice(1).join(" ")}\n`),
  sleep: ({ cmd, signal }) => pause(Number(cmd[1]) * 1000, signal),

  cat: async ({ cmd, files, stdin, write }) => {
    for (const path of cmd.slice(1)) {
      const file = files.get(path);
      if (!file) {
        write(`cat: ${path}: no such file or directory\n`, "stderr");
        return 1;
      }
      write(file.bytes);
    }
    if (cmd.length > 1) return 0;
    const reader = stdin.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 0;
      write(value);
    }
  },

  /** Not a shell: it runs the words of its script as one command. */
  sh: ({ cmd, run, write }) => {
    if (cmd[3] === NAME_OF_SCRIPTS) {
      write(NO_SCRIPTS, "stderr");
      return 127;
    }
    return run((cmd[1] === "-c" ? (cmd[2] ?? "") : cmd.slice(1).join(" ")).trim().split(/\s+/));
  },
};
