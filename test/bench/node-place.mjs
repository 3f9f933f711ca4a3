import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/**
 * Node as a place to measure in: one workload in a fresh process.
 * @param {URL} root the folder whose `dist` is measured
 */
export function openNode(root) {
  // Boxes of the bench are no business of whoever runs it.
  const state = mkdtempSync(join(tmpdir(), "boxrun-bench-"));
  const env = { ...process.env, BOXRUN_STATE_DIR: state };
  return {
    env,
    measure: async (name, argument) => {
      const child = fileURLToPath(new URL("test/bench/node-child.mjs", root));
      const args = [child, name, ...(argument === undefined ? [] : [JSON.stringify(argument)])];
      const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 24, env });
      return JSON.parse(stdout);
    },
    // The assets come with the package; what a first use reads of them is what a page fetches.
    firstVisit: undefined,
    close: async () => rmSync(state, { recursive: true }),
  };
}
