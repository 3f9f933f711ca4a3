import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import type { BrowserLaunch } from "./browsers.js";
import { notRun } from "./contract-in.js";
import { findClosedPort, startRelay } from "./relay-servers.js";
import { reportOf } from "./report-of.js";
import type { Runtime } from "./runtimes.mjs";

/** Contents of a file of this many MiB. */
const contentsOf = (megabytes: number) =>
  Buffer.alloc(
    megabytes * 2 ** 20,
    Uint8Array.from({ length: 65_521 }, (_, i) => (i * 40_503) >> 7),
  );

/** Declares a test of boxes in a page that have a network by a relay of `serve`: see test/pages/relay.mjs. */
export function relayIn(runtime: Runtime, launch: BrowserLaunch): void {
  const name = `boxes of a page in ${runtime.name} have a network by a relay`;
  if (runtime.missing !== undefined) return notRun(name, runtime.missing);
  it(name, async () => {
    const port = await startWeb();
    const closedPort = await findClosedPort();
    type Report = { log: string[][]; megabytesPerSecond: number };
    const { log, megabytesPerSecond, ...seen } = await reportOf<Report>(
      runtime,
      launch,
      "relay",
      async (site) => ({ relay: (await startRelay([site])).url, port, closedPort }),
    );
    expect(seen).toEqual({
      way: ["relay", true],
      page: "hello (0)",
      refused: expect.stringMatching(/refused/i),
      deniedHere: expect.stringMatching(/no route to host|unreachable/i),
      deniedThere: expect.stringMatching(/no route to host|unreachable/i),
      ends: "hello (0)",
      sum: `${createHash("md5").update(contentsOf(32)).digest("hex")}  - (0)`,
      sent: "8388608 (0)",
    });
    expect(log).toContainEqual(["other.example.com", "denied", "EACCES", null]);
    expect(log).toContainEqual([
      "elsewhere.example.org",
      "allowed",
      "EACCES",
      "the relay closed the connection: its rules deny it",
    ]);
    console.log(`${runtime.name}: ${megabytesPerSecond} MB/s through a relay`);
    expect(megabytesPerSecond).toBeGreaterThan(1);
  });
}

/** Starts a web server: "/" says hello, "/N" has N MiB, and "/count" the number of bytes that it is sent. */
async function startWeb(): Promise<number> {
  const web = createServer(async (request, response) => {
    let count = 0;
    for await (const chunk of request) count += (chunk as Buffer).byteLength;
    const path = (request.url ?? "/").slice(1);
    if (path === "") response.end("hello\n");
    else response.end(path === "count" ? `${count}\n` : contentsOf(Number(path)));
  });
  onTestFinished(() => {
    web.close();
    web.closeAllConnections();
  });
  web.listen(0, "127.0.0.1");
  await once(web, "listening");
  return (web.address() as AddressInfo).port;
}
