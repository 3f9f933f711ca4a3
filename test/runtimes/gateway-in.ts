import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { describe, expect, it, onTestFinished } from "vitest";
import { makeWheel } from "../local/network/package-files.js";
import type { BrowserLaunch } from "./browsers.js";
import { notRun } from "./contract-in.js";
import { serveAssets } from "./debian-programs.js";
import { reportOf } from "./report-of.js";
import type { Runtime } from "./runtimes.mjs";
import { type Host, listen, withCors } from "./static-host.js";

const CLOSED =
  /^boxrun: no answer from https:\/\/closed.example.com by the page's fetch. The site does not allow pages to read it \(CORS\), or it cannot be reached. Instead, with local.relay, [^\n]+\n502$/;

/** What a page's boxes should get: see test/pages/gateway.mjs. */
const EXPECTED = {
  wayOut: "fetch",
  network: true,
  wget: "hello\n",
  "wget, a site that lets no page read it": expect.stringMatching(/502 Bad Gateway\nexit code 1$/),
  "wget, another port": expect.stringMatching(/(?:No route to host|Host is unreachable)\nexit code 1$/),
  log: [
    "allowed api.example.com 80 ",
    "allowed closed.example.com 80 ",
    "denied api.example.com 22 a page reaches ports 80 and 443 alone, and others by local.relay",
  ],
  curl: "hello\n",
  "curl, https": "hello\n",
  "curl, without variables": "hello\n",
  authorities: "/usr/local/share/ca-certificates/boxrun.crt\n1\n",
  "curl, an upload": "3000000 bytes by PUT\n",
  bodies: [0, 1, 5_000_000]
    .flatMap((size) => ["http", "https"].map((scheme) => [size, scheme] as const))
    .flatMap(([size, scheme]) => ["POST", "PUT"].map((method) => `${scheme} ${method} ${size}`))
    .flatMap((sent) => [`${sent}\n`, `${sent}Transfer-Encoding: chunked\n`])
    .join(""),
  "curl, a site that lets no page read it": expect.stringMatching(CLOSED),
  "curl, nobody there": "502",
  "curl, denied": expect.stringMatching(/exit code 7$/),
  "curl, a secret": "you are Bearer the-real-value\n",
  "curl, a redirect": "502",
  python: "hello\n",
  "curl, as pip asks": "greet-1.0-py3-none-any.whl\n",
};

/** What pip should get, whose start takes as long as all others together. */
export const PIP = { pip: "hello from a wheel" };

/** Declares a test of boxes that are on a network by the fetch of their page. `more` has what other programs should get, by their names. */
export function gatewayIn(runtime: Runtime, launch: BrowserLaunch, more: Partial<typeof PIP> = {}): void {
  const name = `boxes on a network in a page of ${runtime.name}, from the packed tarball`;
  if (runtime.missing !== undefined) return notRun(name, runtime.missing);
  describe(name, () => {
    const programs = ["wget", "curl", "Python", ...Object.keys(more)].join(", ");
    it(`reach what lets pages read it, by ${programs}, and are told why they reach nothing else`, async () => {
      const settings = { ...(await startServers()), more: Object.keys(more) };
      const report = await reportOf(runtime, launch, "gateway", () => settings);
      expect(report).toEqual({ ...EXPECTED, ...more });
    });
  });
}

/** Starts the servers of the test, and returns what the page has to know of them. */
async function startServers(): Promise<{ assets: string; servers: Record<string, string> }> {
  const keep = (host: Host) => {
    onTestFinished(() => host.close());
    return host.url;
  };
  const folder = mkdtempSync(join(tmpdir(), "boxrun-gateway-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const wheel = await makeWheel(folder);
  const hash = createHash("sha256").update(wheel.bytes).digest("hex");

  const api = keep(await listen(withCors(answer, { headers: "authorization", methods: "PUT" })));
  const closed = keep(await listen((_, response) => response.end("hello\n")));
  const gone = await listen(() => {});
  gone.close();
  // As PyPI, it lets pages send no header but those that any server takes.
  const index = keep(
    await listen(
      withCors(({ url }, response) => {
        if (url === "/hash") return response.end(JSON.stringify({ hash }));
        if (url === `/files/${wheel.name}`) return response.end(wheel.bytes);
        response.setHeader("content-type", "application/vnd.pypi.simple.v1+json");
        const files = [{ filename: wheel.name, url: `/files/${wheel.name}`, hashes: { sha256: hash } }];
        response.end(JSON.stringify({ meta: { "api-version": "1.0" }, name: "greet", files }));
      }),
    ),
  );
  return {
    // Of another origin than the page's.
    assets: await serveAssets(),
    servers: {
      "http://api.example.com": api,
      "https://api.example.com": api,
      "http://closed.example.com": closed,
      "https://closed.example.com": closed,
      "http://down.example.com": gone.url,
      "https://index.example.com": index,
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await buffer(request);
  if (request.url === "/away") response.writeHead(302, { location: "/hello" }).end();
  else if (request.url === "/who") response.end(`you are ${request.headers.authorization}\n`);
  else if (request.url === "/body") {
    const hash = createHash("sha256").update(body).digest("hex");
    response.end(`${body.byteLength} bytes ${hash} by ${request.method}`);
  } else if (request.url === "/upload") response.end(`${body.byteLength} bytes by ${request.method}\n`);
  else response.end("hello\n");
}
