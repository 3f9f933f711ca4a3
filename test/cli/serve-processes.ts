import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { ROOT } from "../root.js";

const CLI = join(ROOT, "dist/node/cli.js");

/** Processes of `boxrun serve`, and others beside them, with their boxes in a folder of their own. */
export class ServeProcesses {
  /** Folder for a test's files; the boxes are in it, too. */
  readonly folder = mkdtempSync(join(tmpdir(), "boxrun-serve-"));
  private readonly running = new Set<ChildProcess>();

  /** Starts `boxrun serve`; `line` is what it prints first, on either output. */
  async start(env: Record<string, string>, ...args: string[]) {
    const child = spawn(process.execPath, [CLI, "serve", "--state", join(this.folder, "state"), ...args], {
      env: { ...process.env, ...env },
    });
    this.running.add(child);
    const ended = new Promise<number | null>((resolve) =>
      child.once("exit", (code) => {
        this.running.delete(child);
        resolve(code);
      }),
    );
    const line = await new Promise<string>((resolve) => {
      for (const output of [child.stdout, child.stderr]) {
        output.setEncoding("utf8").once("data", (text: string) => resolve(text));
      }
    });
    const stop = () => {
      child.kill("SIGTERM");
      return ended;
    };
    return { child, ended, line, url: /listening on (\S+)/.exec(line)?.[1] ?? "", stop };
  }

  /** Runs another command than serve to its end; boxes of its own would be in a folder of their own. */
  async boxrun(env: Record<string, string>, ...args: string[]) {
    const own = { BOXRUN_STATE_DIR: join(this.folder, "own"), BOXRUN_SOCKET: "", BOXRUN_HOST: "" };
    const child = spawn(process.execPath, [CLI, ...args], {
      env: { ...process.env, ...own, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const ended = once(child, "close");
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: (await ended)[0], stdout, stderr };
  }

  /** Ends the servers that a failed test left behind, and removes the folder. */
  end(): void {
    for (const child of this.running) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
