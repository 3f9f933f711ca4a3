import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "../root.js";

const VITEST = join(ROOT, "node_modules/vitest/vitest.mjs");

/** Runs the suites in the runtimes that are not part of every test run. */
export async function runCampaign(): Promise<{ report: string; violations: number }> {
  const { status } = spawnSync(process.execPath, [VITEST, "run", "--project", "soak"], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
  });
  return status === 0
    ? { report: "no case has failed", violations: 0 }
    : { report: "cases have failed, as printed above", violations: 1 };
}
