import { rmSync } from "node:fs";
import { APPS } from "./apps.js";
import { EXPECTED, launchBrowser, makeWorkspace, runApp } from "./run-app.js";

/** Builds and runs the applications that are not part of every test run. */
export async function runCampaign({ say }: { say: (line: string) => void }): Promise<{
  report: string;
  violations: number;
}> {
  const workspace = makeWorkspace();
  const browser = await launchBrowser();
  const lines: string[] = [];
  let violations = 0;
  try {
    for (const app of APPS.filter(({ always }) => !always)) {
      const { texts, complaints } = await runApp(app, workspace, browser);
      const found = [...texts.filter((text) => text !== EXPECTED), ...complaints];
      if (found.length > 0) violations++;
      lines.push(`- ${app.name}: ${found.length === 0 ? "runs a box" : found.join("; ")}`);
      say(lines.at(-1)!);
    }
  } finally {
    await browser.close();
    rmSync(workspace, { recursive: true });
  }
  return { report: `\n\n${lines.join("\n")}`, violations };
}
