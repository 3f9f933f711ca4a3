import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A server in a process of its own, with a state of its own. */
export async function startServe(): Promise<{ baseUrl: string; stop(): Promise<void> }> {
  const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
  const child = spawn(process.execPath, [join(import.meta.dirname, "serve-child.mjs"), state], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (data) => resolve(String(data).trim()));
    child.once("exit", (code) => reject(new Error(`the server ended with code ${code}`)));
  });
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    stop: async () => {
      child.stdin.end();
      if (child.exitCode === null) await once(child, "exit");
      rmSync(state, { recursive: true, force: true });
    },
  };
}
