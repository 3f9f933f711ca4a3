import { spawn } from "node:child_process";
import type { Settings } from "./messages.js";

/** A runtime that has been started. */
export interface Running {
  /** Resolves when it has ended, to how: "with code 0". */
  ended: Promise<string>;
  /** Ends it, and all that it has started. */
  stop(): Promise<void>;
}

/** How a runtime is started that runs the contract as `settings` say. `page` is the address of a page that does. */
export interface Launch {
  start(run: { project: string; settings: Settings; page: string }): Running;
  /** True when it ends once the contract has been run, unless something is left open. */
  endsByItself: boolean;
}

/** Of what it wrote, what is shown when it fails. */
const SHOWN_CHARACTERS = 2000;

/** As a process of its own, with an environment without the settings of whoever runs the tests. */
export function startProcess(
  command: string,
  args: readonly string[],
  options: {
    cwd: string;
    env?: Record<string, string>;
    /** What it writes to stdout and stderr. */
    onOutput?: (text: string) => void;
  },
): Running {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(BOXRUN|NODE|VITEST)/.test(name));
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...Object.fromEntries(inherited), ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own: a browser's processes end with it.
    detached: true,
  });
  let last = "";
  for (const output of [child.stdout, child.stderr]) {
    output.on("data", (data) => {
      last = `${last}${data}`.slice(-SHOWN_CHARACTERS);
      options.onOutput?.(String(data));
    });
  }
  const kill = () => {
    try {
      process.kill(-(child.pid as number), "SIGKILL");
    } catch {
      // It has ended already.
    }
  };
  // It must not outlive the tests, however they end.
  process.once("exit", kill);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`before it was started: ${error.message}`));
    child.once("close", (code, signal) =>
      resolve(code === 0 ? "with code 0" : `with ${signal ?? `code ${code}`}: ${last}`),
    );
  });
  return {
    ended,
    stop: async () => {
      kill();
      await ended;
      process.off("exit", kill);
    },
  };
}

/** Node, Deno or Bun, given a script that runs the contract. */
export function inProcess(command: string, args: readonly string[] = []): Launch {
  return {
    start: ({ project, settings }) =>
      startProcess(command, [...args, "in-process.js"], {
        cwd: project,
        env: { BOXRUN_TEST_SETTINGS: JSON.stringify(settings) },
      }),
    endsByItself: true,
  };
}
