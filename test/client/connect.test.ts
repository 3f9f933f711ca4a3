import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { BoxRunClient, type ClientOptions } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { BOX, json, OURS, PLAIN, startServer } from "../remote/servers.js";

const folder = mkdtempSync(join(tmpdir(), "boxrun-connect-"));
const local = { state: join(folder, "state") };
/** Nobody listens there. */
const CLOSED = "http://127.0.0.1:59871";

afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  vi.stubEnv("BOXRUN_SOCKET", "");
  vi.stubEnv("BOXRUN_STATE_DIR", folder);
  vi.stubEnv("BOXRUN_HOST", "127.0.0.1");
  vi.stubEnv("BOXRUN_PORT", "59872");
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

async function ready(options: ClientOptions) {
  const client = new BoxRunClient({ local, ...options });
  onTestFinished(() => client.close());
  return client.ready();
}

async function socketServer(path: string): Promise<string[]> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    json(response, request.url === "/v1/info" ? OURS : [BOX]);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    rmSync(path, { force: true });
  });
  return seen;
}

const info = () => startServer((_request, response) => json(response, PLAIN));
const portOf = (baseUrl: string) => new URL(baseUrl).port;

describe("choosing a backend", () => {
  it("takes the server that the options name", async () => {
    const { baseUrl, seen } = await info();
    for (const backend of ["auto", "remote"] as const) {
      expect(await ready({ backend, baseUrl })).toMatchObject({
        kind: "remote",
        tried: [{ place: baseUrl, outcome: "connected" }],
      });
    }
    expect(seen.map(({ path }) => path)).toEqual(["/v1/info", "/v1/info"]);
  });

  it("does without a named server that is down only under auto, and says why", async () => {
    const { kind, reason, tried } = await ready({ baseUrl: CLOSED });
    expect(kind).toBe("local");
    expect(reason).toMatch(/59871.*ECONNREFUSED/);
    expect(tried).toMatchObject([{ place: CLOSED }]);
    const error = await failure(ready({ backend: "remote", baseUrl: CLOSED }));
    expect(error).toMatchObject({ code: "CONNECTION_FAILED", retryable: true });
  });

  it("does not pass over a named server that wants a token", async () => {
    const { baseUrl } = await startServer((_request, response) =>
      json(response, { code: "UNAUTHORIZED", message: "a bearer token is required" }, 401),
    );
    expect(await failure(ready({ baseUrl }))).toMatchObject({ status: 401 });
  });

  it.each([401, 403])(
    "passes over a server that it only found and that answers %d, and says why",
    async (status) => {
      const { baseUrl } = await startServer((_request, response) =>
        json(response, { code: "VALIDATION_ERROR", message: "a bearer token is required" }, status),
      );
      vi.stubEnv("BOXRUN_PORT", portOf(baseUrl));
      const { kind, reason, tried } = await ready({});
      expect(kind).toBe("local");
      expect(reason).toMatch(/token is required/);
      expect(tried).toEqual([
        { place: baseUrl, outcome: expect.stringMatching(/token is required/), status },
      ]);
      expect(await failure(ready({ baseUrl }))).toMatchObject({ status });
    },
  );

  it("does not take a web page for a server", async () => {
    const { baseUrl } = await startServer((_request, response) => {
      response.writeHead(200, { "content-type": "text/html" });
      response.end("<!doctype html><h1>It works!");
    });
    const error = await failure(ready({ backend: "remote", baseUrl }));
    expect(error).toMatchObject({ code: "PROTOCOL_ERROR" });
    expect(error.message).toContain("It works!");
    vi.stubEnv("BOXRUN_PORT", portOf(baseUrl));
    expect(await ready({})).toMatchObject({ kind: "local", tried: [{ place: baseUrl }] });
  });

  it("does not take a server of something else for one, and shows nothing of its page", async () => {
    const { baseUrl } = await startServer((_request, response) => {
      response.writeHead(404, { "content-type": "text/html" });
      response.end("<!doctype html><h1>No such file");
    });
    const error = await failure(ready({ backend: "remote", baseUrl: `${baseUrl}/v2` }));
    expect(error).toMatchObject({ code: "PROTOCOL_ERROR", status: 404 });
    expect(error.message).toMatch(
      /status 404 \(check that this is a BoxRun server, and that nothing else answers/,
    );
    expect(error.message).not.toContain("No such file");
  });

  it.each(["/v1", "/v1/"])("takes a baseUrl that ends in %s for the server's", async (end) => {
    const { baseUrl, seen } = await info();
    const { tried } = await ready({ backend: "remote", baseUrl: baseUrl + end });
    expect(tried).toEqual([{ place: baseUrl, outcome: "connected" }]);
    expect(seen.map(({ path }) => path)).toEqual(["/v1/info"]);
  });

  it("says once where nobody listens, and how to start a server", async () => {
    const error = await failure(ready({ backend: "remote", baseUrl: CLOSED }));
    expect(error.message).toBe(
      `GET /v1/info (${CLOSED}): connection refused (ECONNREFUSED) (is the server running? npx boxrun serve starts one)`,
    );
    expect((await ready({ baseUrl: CLOSED })).tried).toEqual([
      { place: CLOSED, outcome: "GET /v1/info: connection refused (ECONNREFUSED)" },
    ]);
  });

  it("finds a Unix socket first, then a port, then none", async () => {
    const { baseUrl } = await info();
    vi.stubEnv("BOXRUN_PORT", portOf(baseUrl));
    expect((await ready({})).tried).toEqual([{ place: baseUrl, outcome: "connected" }]);
    const inState = join(folder, "boxrun.sock");
    await socketServer(inState);
    expect((await ready({})).tried).toEqual([{ place: `unix:${inState}`, outcome: "connected" }]);
    const named = join(folder, "named.sock");
    await socketServer(named);
    vi.stubEnv("BOXRUN_SOCKET", named);
    expect((await ready({})).reason).toContain(`unix:${named}`);
  });

  it("goes on to the port when the socket is dead", async () => {
    const { baseUrl } = await info();
    vi.stubEnv("BOXRUN_PORT", portOf(baseUrl));
    vi.stubEnv("BOXRUN_SOCKET", join(folder, "none.sock"));
    expect(await ready({})).toMatchObject({ kind: "remote", tried: [{ place: baseUrl }] });
  });

  it("says where it looked when there is no server", async () => {
    expect(await ready({})).toMatchObject({
      kind: "local",
      tried: [{ place: "http://127.0.0.1:59872", outcome: expect.stringContaining("ECONNREFUSED") }],
    });
    const error = await failure(ready({ backend: "remote" }));
    expect(error).toMatchObject({ code: "CONNECTION_FAILED" });
    expect(error.message).toMatch(/59872.*baseUrl, socketPath/);
  });

  it("is bounded: a port that accepts and says nothing holds it up for no longer than that", async () => {
    const { baseUrl } = await startServer(() => {});
    vi.stubEnv("BOXRUN_PORT", portOf(baseUrl));
    const { kind, tried } = await ready({ timeouts: { probeMs: 60 } });
    expect(kind).toBe("local");
    expect(tried[0]!.outcome).toContain("no answer within 60 ms");
  });

  it("is done once: a server that is lost is an error, not another place", async () => {
    let up = true;
    const { baseUrl } = await startServer((request, response) =>
      up ? json(response, request.path === "/v1/info" ? PLAIN : []) : void response.socket?.destroy(),
    );
    const client = new BoxRunClient({ baseUrl, local, timeouts: { requestMs: 3000 } });
    expect(await client.listBoxes()).toEqual([]);
    up = false;
    expect(await failure(client.gc())).toMatchObject({ code: "CONNECTION_FAILED" });
    expect((await client.ready()).kind).toBe("remote");
  });

  it("asks a server in this process", async () => {
    const asked: string[] = [];
    const client = new BoxRunClient({
      baseUrl: "http://box",
      fetch: async (request) => {
        asked.push(request.url);
        return Response.json(request.url.endsWith("/info") ? PLAIN : []);
      },
    });
    expect(await client.listBoxes()).toEqual([]);
    expect(asked).toEqual(["http://box/v1/info", "http://box/v1/boxes"]);
  });

  it("goes through a Unix socket that the options name", async () => {
    const socketPath = join(folder, "explicit.sock");
    const seen = await socketServer(socketPath);
    const client = new BoxRunClient({ backend: "remote", socketPath });
    expect(await client.listBoxes()).toMatchObject([{ id: BOX.id }]);
    expect(seen).toEqual(["GET /v1/info", "GET /v1/boxes"]);
    await client.close();
  });
});

describe("choosing a backend in a page", () => {
  const inPage = (origin: string) => {
    vi.stubGlobal("process", { ...process, versions: {} });
    vi.stubGlobal("document", {});
    vi.stubGlobal("location", new URL(`${origin}/app/`));
  };
  const asked = (answer: () => Response) => {
    const urls: string[] = [];
    const fetch = async (request: Request) => {
      urls.push(request.url);
      return answer();
    };
    return { urls, fetch };
  };

  it("looks only at its own origin, when that is this machine", async () => {
    for (const origin of [
      "http://localhost:5173",
      "http://app.localhost",
      "http://127.0.0.1:8080",
      "http://[::1]:80",
    ]) {
      inPage(origin);
      const { urls, fetch } = asked(() => Response.json(PLAIN));
      expect(await ready({ fetch })).toMatchObject({ kind: "remote" });
      expect(urls).toEqual([`${new URL(origin).origin}/v1/info`]);
    }
    inPage("https://example.com");
    const { urls, fetch } = asked(() => Response.json(PLAIN));
    const outcome = await ready({ fetch, backend: "auto" }).catch((error) => error);
    expect(urls).toEqual([]);
    if ("reason" in outcome) expect(outcome.reason).toMatch(/own origin/);
  });

  it("takes a relative baseUrl, and explains what may be CORS", async () => {
    inPage("https://example.com");
    const { urls, fetch } = asked(() => Response.json(PLAIN));
    await ready({ backend: "remote", baseUrl: "/boxes", fetch });
    expect(urls).toEqual(["https://example.com/boxes/v1/info"]);
    const blocked = async () => {
      throw new TypeError("Failed to fetch");
    };
    const error = await failure(
      ready({ backend: "remote", baseUrl: "http://127.0.0.1:9090", fetch: blocked }),
    );
    expect(error).toMatchObject({ code: "CONNECTION_FAILED" });
    expect(error.message).toMatch(/Failed to fetch.*CORS.*forward \/v1/);
  });

  it("has no Unix sockets", async () => {
    inPage("https://example.com");
    const error = await failure(ready({ backend: "remote", socketPath: "/x.sock" }));
    expect(error).toMatchObject({ code: "UNSUPPORTED" });
  });
});

describe("options", () => {
  it.each([
    [{ backend: "cloud" }, /backend/],
    [{ baseUrl: "localhost:9090" }, /baseUrl must use http/],
    [{ baseUrl: "//" }, /baseUrl must be a URL/],
    [{ baseUrl: "" }, /baseUrl must not be empty/],
    [{ baseUrl: 5 }, /baseUrl must be a string, got number/],
    [{ baseUrl: "http://me:pw@x" }, /baseUrl must not contain a user/],
    [{ baseUrl: "http://x?a" }, /baseUrl must not contain a query/],
    [{ baseUrl: "http://x", socketPath: "/x" }, /baseUrl or socketPath/],
    [{ socketPath: "/x", fetch }, /fetch or socketPath/],
    [{ socketPath: "" }, /socketPath/],
    [{ token: "" }, /token/],
    [{ token: 5 }, /token/],
    [{ headers: { "a b": "c" } }, /headers/],
    [{ headers: { a: 5 } }, /headers\.a/],
    [{ headers: { a: "b\nc" } }, /headers\.a/],
    [{ fetch: "x" }, /fetch must be a function/],
    [{ timeouts: { requestMs: 0 } }, /timeouts\.requestMs/],
    [{ timeouts: { connectMs: 5 } }, /connectMs/],
    [{ url: "http://x" }, /^unknown option url \(did you mean baseUrl\?\)$/],
  ])("are checked at once, by name: %j", (options, message) => {
    try {
      new BoxRunClient(options as ClientOptions);
    } catch (error) {
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      expect((error as Error).message).toMatch(message);
      return;
    }
    throw new Error("nothing was thrown");
  });

  it("do not show a wrong token", () => {
    expect(() => new BoxRunClient({ token: "hunter 2" })).toThrow(/^(?!.*hunter).*token/);
  });
});
