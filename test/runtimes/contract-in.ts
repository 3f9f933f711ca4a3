import { afterAll, describe, expect, inject, it } from "vitest";
import { startServe } from "../testing/contract/serve.js";
import type { Launch } from "./launch.js";
import type { Local } from "./locals.js";
import type { Message, Settings } from "./messages.js";
import { Progress } from "./progress.js";
import type { Remote } from "./remotes.js";
import type { Runtime } from "./runtimes.mjs";
import { openSite } from "./site.js";

/**
 * Runs the contract in a runtime, over HTTP to a server that is started for it, and declares each of its cases as a test here, which waits for the result.
 * `groups` are those of the contract to run; by default, all.
 */
export async function remoteContractIn(
  { runtime, launch, client, cannot }: Remote,
  groups?: readonly string[],
): Promise<void> {
  const name = `remote in ${runtime.name}, from the packed tarball`;
  if (runtime.missing !== undefined) return notRun(name, runtime.missing);
  const server = await startServe();
  afterAll(() => server.stop());
  const { baseUrl, shared: hostDirectory } = server;
  const settings = { name, client: client(baseUrl), hostDirectory, cannot, ...(groups && { groups }) };
  await contractIn(runtime, launch, settings, baseUrl);
}

/** As {@link remoteContractIn}, with boxes in the runtime itself. */
export async function localContractIn(
  { runtime, launch, places }: Local,
  groups?: readonly string[],
): Promise<void> {
  const name = `local in ${runtime.name}, from the packed tarball`;
  if (runtime.missing !== undefined) return notRun(name, runtime.missing);
  const { state, ...shared } = places();
  const client = { backend: "local", local: { state } } as const;
  await contractIn(runtime, launch, { name, client, ...shared, cannot: {}, ...(groups && { groups }) });
}

async function contractIn(
  runtime: Runtime,
  launch: Launch,
  settings: Omit<Settings, "reportTo">,
  server?: string,
): Promise<void> {
  const project = inject("project");
  const progress = new Progress();
  const told = { ...settings, reportTo: "" };
  const site = await openSite({
    project,
    server,
    settings: told,
    take: (message: Message) => progress.take(message),
  });
  told.reportTo = `${site.url}/report`;
  const running = launch.start({ project, settings: told, page: `${site.url}/page.html?in-page` });
  running.ended.then((how) => progress.fail(new Error(`${runtime.name} ended too early, ${how}`)));
  const close = async () => {
    await running.stop();
    site.close();
  };
  afterAll(() => progress.end.finally(close));
  const cases = await progress.cases.catch(async (error) => {
    await close();
    throw error;
  });
  for (const [index, names] of cases.entries()) declare(names, () => progress.result(index));
  if (launch.endsByItself) {
    it("ends by itself: nothing is left open", async () => {
      await progress.end;
      expect(await running.ended).toBe("with code 0");
    });
  }
}

/** One test, in its groups. */
function declare([first, ...rest]: string[], body: () => Promise<void>): void {
  if (rest.length === 0) it(first as string, body);
  else describe(first as string, () => declare(rest, body));
}

/** Declares a test that is skipped, with the reason. */
export function notRun(name: string, why: string): void {
  describe(name, () => it.skip(why));
}
