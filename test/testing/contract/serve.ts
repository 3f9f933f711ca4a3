import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../root.js";

const CLI = join(ROOT, "dist/node/cli.js");

/** `boxrun serve`, whose boxes may mount the directory `shared`: a process of its own with a state of its own, as a user would start it. */
export async function startServe(
  ...options: string[]
): Promise<{ baseUrl: string; shared: string; stop(): Promise<void> }> {
  const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
  const shared = mkdtempSync(join(tmpdir(), "boxrun-shared-"));
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("BOXRUN_")));
  const own = ["--port", "0", "--state", state, "--allow-volumes", shared];
  const child = spawn(process.execPath, [CLI, "serve", ...own, ...options], {
    stdio: ["ignore", "pipe", "inherit"],
    env,
  });
  // It must not outlive the tests, however they end.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const baseUrl = await new Promise<string>((resolve, reject) => {
    child.stdout.on("data", (data) => {
      const address = /http:\/\/\S+/.exec(String(data))?.[0];
      if (address) resolve(address);
    });
    child.once("exit", (code) => reject(new Error(`boxrun serve ended with code ${code}`)));
  });
  return {
    baseUrl,
    shared,
    stop: async () => {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
      process.off("exit", kill);
      for (const folder of [state, shared]) rmSync(folder, { recursive: true, force: true });
    },
  };
}
