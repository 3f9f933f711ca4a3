import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { RequestListener, Server } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { makeCertificates } from "../local/network/certificates.js";
import { git, gitServer } from "../robustness/suites/clients/git-server.js";
import { inChromium } from "./browsers.js";
import { notRun } from "./contract-in.js";
import { findProgram, serveAssets, serveProgram } from "./debian-programs.js";
import { startRelay } from "./relay-servers.js";
import { reportOf } from "./report-of.js";
import { chromium } from "./runtimes.mjs";
import { listen, withCors } from "./static-host.js";

const name = "git in a box of a page clones and pushes";
const program = await findProgram("git");
if (chromium.missing !== undefined) notRun(name, chromium.missing);
else if ("missing" in program) notRun(name, program.missing);
else
  describe(name, () => {
    it("by a relay, over HTTP and HTTPS, beside curl and Python", async () => {
      const { folder, server } = await makeGit();
      await makeCertificates(folder, ["git.example.com"]);
      const [authority, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map((file) =>
        readFileSync(join(folder, file), "utf8"),
      );
      const https = createServer({ cert: cert!, key: key! }, answerOf(server));
      const { pushed, ...seen } = await reportOf<Record<string, string>>(
        chromium,
        inChromium,
        "git",
        async (site) => ({
          relay: (await startRelay([site])).url,
          assets: await serveAssets(),
          program: await serveProgram(program),
          httpPort: await portOf(server),
          httpsPort: await portOf(https),
          authority,
        }),
      );
      const head = (await git(join(folder, "work"), "rev-parse", "HEAD")).trim();
      expect(seen).toEqual({
        cloned: `${head} (0)`,
        files: "200 (0)",
        trusted: "1 (0)",
        untrusted: expect.stringMatching(/certificate[\s\S]*\(128\)$/),
        curl: "ref: refs/heads/main (0)",
        python: "ref: refs/heads/main (0)",
      });
      await expectPushed(folder, head, pushed);
    });

    // Debian's git uses GnuTLS, which checks the page's TLS and certificates as nothing else in the tests does.
    it("by the page's fetch, over HTTPS, from a server that lets pages do so", async () => {
      const { folder, server } = await makeGit();
      const open = withCors(answerOf(server), { headers: "content-type, git-protocol" });
      const host = await listen(open);
      onTestFinished(() => host.close());
      const { pushed, ...seen } = await reportOf<Record<string, string>>(
        chromium,
        inChromium,
        "git-by-fetch",
        async () => ({
          assets: await serveAssets(),
          program: await serveProgram(program),
          server: host.url,
        }),
      );
      const head = (await git(join(folder, "work"), "rev-parse", "HEAD")).trim();
      expect(seen).toEqual({ cloned: `${head} (0)`, files: "200 (0)" });
      await expectPushed(folder, head, pushed);
    });
  });

/** Returns a server of a repository, and its folder, which is there until the test has ended. */
async function makeGit(): Promise<{ folder: string; server: Server }> {
  const folder = mkdtempSync(join(tmpdir(), "boxrun-git-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return { folder, server: await gitServer(folder) };
}

/** Returns what answers the requests to a server. */
function answerOf(server: Server): RequestListener {
  return server.listeners("request")[0] as RequestListener;
}

/** Checks that the repository has a branch with the one commit that the box has pushed. */
async function expectPushed(folder: string, head: string, pushed: string | undefined): Promise<void> {
  const bare = join(folder, "project.git");
  expect(`${(await git(bare, "rev-parse", "box")).trim()} (0)`).toBe(pushed);
  expect((await git(bare, "rev-parse", "box^")).trim()).toBe(head);
}

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
