import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { untilAborted } from "../../../src/util/abort.js";
import { World } from "../../local/network/world.js";
import { FETCHING, REQUESTS } from "./clients/fetching.js";
import { NGINX, SSH_CHECKS, startServers } from "./clients/servers.js";
import { SOCKETS } from "./clients/sockets.js";
import { type Check, clientOf, installBox, type Stage, versionsOf } from "./clients/stage.js";
import { addServers } from "./clients/world-servers.js";

/** Everything that is checked, in this order. */
const CHECKS: readonly Check[] = [...FETCHING, ...REQUESTS, ...SOCKETS, ...SSH_CHECKS, ...NGINX];

/** What hangs is found. Starting Python alone takes seconds, and more on a busy machine. */
const CHECK_MS = 4 * 60_000;

/** What came of a check. */
interface Outcome {
  name: string;
  seconds: number;
  /** What was wrong. @default nothing */
  failure?: string;
}

/**
 * Runs programs of Debian, as they come from its mirror, in two boxes with a network: clients against real servers, and servers against real clients. Needs git, ssh and openssl on this machine.
 */
export async function runCampaign({ say }: { say: (line: string) => void }): Promise<{
  report: string;
  violations: number;
}> {
  const folder = mkdtempSync(join(tmpdir(), "boxrun-clients-"));
  await using world = new World();
  const client = clientOf(world);
  try {
    const ca = await addServers(world, folder);
    const [user, shop] = await Promise.all([
      installBox(client, "user", say),
      installBox(client, "shop", say),
    ]);
    const stage: Stage = { user, shop, folder };
    await prepare(stage, ca);
    const outcomes: Outcome[] = [];
    for (const check of CHECKS) {
      const outcome = await outcomeOf(check, stage);
      outcomes.push(outcome);
      say(`${outcome.failure ? "fail" : "pass"}: ${check.name}`);
    }
    const versions = [...(await versionsOf(user, "user")), ...(await versionsOf(shop, "shop"))];
    return reportOf(outcomes, [...new Set(versions)]);
  } finally {
    await client.close();
    rmSync(folder, { recursive: true });
  }
}

/** Starts the servers of the boxes, and gives the user what it needs for them. */
async function prepare(stage: Stage, ca: Uint8Array): Promise<void> {
  await stage.user.files.write("/root/ca.pem", ca);
  await startServers(stage);
}

async function outcomeOf({ name, run }: Check, stage: Stage): Promise<Outcome> {
  const began = performance.now();
  const failure = await untilAborted(run(stage), AbortSignal.timeout(CHECK_MS)).then(
    () => undefined,
    (error) => String(error instanceof Error ? error.message : error),
  );
  const seconds = (performance.now() - began) / 1000;
  return { name, seconds, ...(failure !== undefined && { failure }) };
}

/** The results as Markdown. */
function reportOf(
  outcomes: readonly Outcome[],
  versions: readonly string[],
): { report: string; violations: number } {
  const failed = outcomes.filter(({ failure }) => failure !== undefined);
  const rows = outcomes.map(
    ({ name, seconds, failure }) =>
      `| ${name} | ${failure === undefined ? "pass" : "fail"} | ${seconds.toFixed(1)} |`,
  );
  const report = [
    `${outcomes.length - failed.length} of ${outcomes.length} checks pass.`,
    ["| check | | seconds |", "| --- | --- | ---: |", ...rows].join("\n"),
    ...failed.map(({ name, failure }) => `${name}:\n\n\`\`\`\n${failure}\n\`\`\``),
    `Versions: ${versions.join(", ")}.`,
  ];
  return { report: report.join("\n\n"), violations: failed.length };
}
