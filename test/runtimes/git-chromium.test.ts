import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { RequestListener, Server } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, it, onTestFinished } from "vitest";
import { deferred } from "../../src/util/deferred.js";
import { makeCertificates } from "../local/network/certificates.js";
import { git, gitServer } from "../robustness/suites/clients/git-server.js";
import { inChromium } from "./browsers.js";
import { notRun } from "./contract-in.js";
import { findProgram, serveAssets, serveProgram } from "./debian-programs.js";
import { startRelay } from "./relay-servers.js";
import { chromium } from "./runtimes.mjs";
import { openSite } from "./site.js";

const name = "git in a box of a page clones and pushes by a relay, over HTTP and HTTPS";
const program = await findProgram("git");
if (chromium.missing !== undefined) notRun(name, chromium.missing);
else if ("missing" in program) notRun(name, program.missing);
else
  it(name, async () => {
    const folder = mkdtempSync(join(tmpdir(), "boxrun-git-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const http = await gitServer(folder);
    await makeCertificates(folder, ["git.example.com"]);
    const [authority, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map((file) =>
      readFileSync(join(folder, file), "utf8"),
    );
    const [answer] = http.listeners("request") as RequestListener[];
    const https = createServer({ cert: cert!, key: key! }, answer);
    const settings = {
      relay: "",
      assets: await serveAssets(),
      program: await serveProgram(program),
      httpPort: await portOf(http),
      httpsPort: await portOf(https),
      authority,
    };
    const told = deferred<Record<string, string>>();
    const site = await openSite({
      project: inject("project"),
      server: undefined,
      settings,
      take: (report: Record<string, string>) => told.resolve(report),
    });
    onTestFinished(() => site.close());
    settings.relay = (await startRelay([site.url])).url;

    const browser = inChromium.start({ page: `${site.url}/page.html?git` });
    onTestFinished(() => browser.stop());
    browser.ended.then((how) => told.reject(new Error(`Chromium ended too early, ${how}`)));
    const { pushed, ...seen } = await told.promise;
    const head = (await git(join(folder, "work"), "rev-parse", "HEAD")).trim();
    expect(seen).toEqual({
      cloned: `${head} (0)`,
      files: "200 (0)",
      trusted: "1 (0)",
      untrusted: expect.stringMatching(/certificate[\s\S]*\(128\)$/),
    });
    const bare = join(folder, "project.git");
    expect(`${(await git(bare, "rev-parse", "box")).trim()} (0)`).toBe(pushed);
    expect((await git(bare, "rev-parse", "box^")).trim()).toBe(head);
  });

/** Has a server listen until the test has ended. Returns its port. */
async function portOf(server: Pick<Server, "listen" | "address" | "close" | "closeAllConnections">) {
  const listening = server.listen(0, "127.0.0.1") as Server;
  await once(listening, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}
