import { BoxRunClient } from "boxrun";
import { contractSuite } from "boxrun/testing";
import type { Message, Settings } from "./messages.js";
import { SmallRunner } from "./runner.js";

/** Runs the contract here, whatever runtime this is, and reports every case. */
export async function runContract({
  name,
  client,
  hostDirectory,
  cannot,
  groups,
  reportTo,
}: Settings): Promise<void> {
  const runner = new SmallRunner(groups);
  contractSuite(runner, {
    name,
    image: "tiny",
    createClient: () => new BoxRunClient(client),
    ...(hostDirectory !== undefined && { hostDirectory }),
    cannot,
  });
  await runner.run(async (message: Message) => {
    const { ok, status } = await fetch(reportTo, { method: "POST", body: JSON.stringify(message) });
    if (!ok) throw new Error(`the report was refused: ${status}`);
  });
}
