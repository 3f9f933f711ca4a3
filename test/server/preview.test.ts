import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener } from "node:http";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { portClosed } from "../../src/backend/ports.js";
import { BoxRunClient } from "../../src/index.js";
import { createHandler } from "../../src/server/handler.js";
import { serve } from "../../src/server/node/serve.js";
import { failure, pattern } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import { httpServer, type LocalServer, listen } from "../ports/local-server.js";

/** A server of boxes whose ports are those of local servers. */
async function serverWith(...servers: LocalServer[]) {
  const backend = new FakeBackend();
  Object.assign(backend, {
    capabilities: { ...backend.capabilities, ports: true },
    ports: {
      list: async () => [],
      connect: async (_box: string, port: number) => {
        const server = servers.find((one) => one.port === port);
        if (!server) throw portClosed(port);
        return server.connect();
      },
    },
  });
  const running = await serve(backend, { port: 0 });
  onTestFinished(() => running.close());
  const [api] = running.addresses as [string];
  const client = new BoxRunClient({ backend: "remote", baseUrl: api });
  onTestFinished(() => client.close());
  return { backend, client, api, running, box: await client.create("fake") };
}

const page = (listener: RequestListener) => httpServer(listener);

/** Every name below localhost is this machine, as for browsers; not every resolver knows that. */
const lookup = (_host: string, options: { all?: boolean }, done: (...result: unknown[]) => void) =>
  options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);

interface Init {
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Uint8Array;
}

/** Sends a request as a browser does, with the host of its URL unless the headers name another. */
async function open(url: string | URL, { method = "GET", headers = {}, body }: Init = {}) {
  const sent = httpRequest(url, { method, headers, lookup: lookup as never });
  sent.end(body);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  return answer;
}

async function get(url: string | URL, init?: Init) {
  const answer = await open(url, init);
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece);
  return { status: answer.statusCode, headers: answer.headers, text: Buffer.concat(pieces).toString() };
}

async function webSocket(url: string, options: object = {}): Promise<WebSocket> {
  const socket = new WebSocket(url.replace(/^http/, "ws"), { lookup: lookup as never, ...options });
  socket.on("error", () => {});
  await once(socket, "open");
  return socket;
}

describe("a preview", () => {
  it("shows a server, which sees its own localhost", async () => {
    const server = await page(async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece);
      const { method, url, headers } = request;
      response.setHeader("x-own", "kept");
      response.setHeader("connection", "keep-alive, x-hop");
      response.setHeader("x-hop", "dropped");
      response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(pieces).toString() }));
    });
    const { box } = await serverWith(server);
    const { url } = await box.preview(server.port);
    expect(new URL(url).hostname).toMatch(
      new RegExp(`^${server.port}-[a-z0-9]{12}-[a-z2-7]{26}\\.localhost$`),
    );
    const origin = new URL(url).origin;
    const given = await get(new URL("/a/b?c=%20d", url), {
      method: "POST",
      headers: { origin, "content-length": "5", "x-mine": "1", connection: "x-drop", "x-drop": "1" },
      body: "hello",
    });
    expect(given.status).toBe(200);
    expect(given.headers).toMatchObject({ "x-own": "kept", "referrer-policy": "same-origin" });
    expect(given.headers["x-hop"]).toBeUndefined();
    const seen = JSON.parse(given.text);
    const host = `localhost:${server.port}`;
    expect(seen).toMatchObject({ method: "POST", url: "/a/b?c=%20d", body: "hello" });
    expect(seen.headers).toMatchObject({
      host,
      origin: `http://${host}`,
      "content-length": "5",
      "x-mine": "1",
    });
    expect(seen.headers["x-drop"]).toBeUndefined();
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("passes on HEAD, ranges, chunks, compression and statuses without a body as they are", async () => {
    const server = await page((request, response) => {
      if (request.url === "/304") return void response.writeHead(304, { etag: '"one"' }).end();
      if (request.url === "/gzip")
        return void response.writeHead(200, { "content-encoding": "gzip" }).end(Buffer.from([1, 2, 3]));
      if (request.headers.range)
        return void response
          .writeHead(206, { "content-range": "bytes 0-1/4", "content-length": 2 })
          .end("ab");
      if (request.method === "PUT") return void request.pipe(response);
      response.writeHead(200, { "content-length": 4, "content-type": "text/css" }).end("abcd");
    });
    const { box } = await serverWith(server);
    const { url } = await box.preview(server.port);
    const head = await get(url, { method: "HEAD" });
    expect([head.status, head.headers["content-length"], head.text]).toEqual([200, "4", ""]);
    const part = await get(url, { headers: { range: "bytes=0-1" } });
    expect([part.status, part.headers["content-range"], part.text]).toEqual([206, "bytes 0-1/4", "ab"]);
    const same = await get(new URL("/304", url));
    expect([same.status, same.headers.etag, same.headers["content-type"]]).toEqual([304, '"one"', undefined]);
    const packed = await get(new URL("/gzip", url));
    expect([packed.headers["content-encoding"], packed.text]).toEqual(["gzip", "\x01\x02\x03"]);
    const chunked = await get(url, {
      method: "PUT",
      headers: { "transfer-encoding": "chunked" },
      body: "x".repeat(100_000),
    });
    expect(chunked.text.length).toBe(100_000);
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("keeps redirects and cookies on its origin", async () => {
    const server = await page((request, response) => {
      response.setHeader("set-cookie", ["a=1; Domain=localhost; Path=/", "b=2; HttpOnly"]);
      response.writeHead(302, { location: `http://${request.headers.host}/next?x` }).end();
    });
    const { box } = await serverWith(server);
    const { url } = await box.preview(server.port);
    const { status, headers } = await get(url);
    expect(status).toBe(302);
    expect(new URL(headers.location!, url).href).toBe(new URL("/next?x", url).href);
    expect(headers["set-cookie"]).toEqual(["a=1; Path=/", "b=2; HttpOnly"]);
  });

  it("shows a page that looks again where nothing listens yet", async () => {
    const { box } = await serverWith();
    const { url } = await box.preview(4321);
    const { status, headers, text } = await get(url);
    expect([status, headers["content-type"]]).toEqual([502, "text/html; charset=utf-8"]);
    expect(text).toContain("Nothing listens on port 4321");
    expect(text).toContain('http-equiv="refresh"');
  });

  it("loads a page of 20 files at once", async () => {
    const server = await page((request, response) => response.end(`file ${request.url}`));
    const { box } = await serverWith(server);
    const { url } = await box.preview(server.port);
    const files = Array.from({ length: 20 }, (_, i) => `/${i}.js`);
    const texts = await Promise.all(files.map(async (file) => (await get(new URL(file, url))).text));
    expect(texts).toEqual(files.map((file) => `file ${file}`));
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("passes on a large file at the pace of its reader", async () => {
    const bytes = pattern(16_000_000);
    let sent = 0;
    const server = await page(async (_request, response) => {
      for (let at = 0; at < bytes.byteLength; at += 64_000) {
        const more = response.write(bytes.subarray(at, at + 64_000));
        sent = at + 64_000;
        if (!more) await once(response, "drain");
      }
      response.end();
    });
    const { box } = await serverWith(server);
    const { url } = await box.preview(server.port);
    const answer = await open(url);
    const pieces = answer[Symbol.asyncIterator]();
    const hash = createHash("sha256");
    hash.update((await pieces.next()).value);
    await vi.waitUntil(
      async () => {
        const before = sent;
        await new Promise((resolve) => setTimeout(resolve, 200));
        return sent === before;
      },
      { timeout: 20_000 },
    );
    expect(sent).toBeLessThan(bytes.byteLength);
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) hash.update(next.value);
    expect(hash.digest("hex")).toBe(createHash("sha256").update(bytes).digest("hex"));
  });

  it("is cut where the server's answer is cut, and ends there when its reader leaves", async () => {
    const server = await page((request, response) => {
      response.writeHead(200, { "content-length": 1_000_000 });
      response.write("x".repeat(1000));
      if (request.url === "/cut") setImmediate(() => response.destroy());
    });
    const { box } = await serverWith(server);
    const { url } = await box.preview(server.port);
    await expect(get(new URL("/cut", url))).rejects.toThrow();
    const answer = await open(url);
    answer.on("error", () => {});
    answer.destroy();
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("carries WebSockets, with the origin and the host of the box", async () => {
    const http = createServer();
    const sockets = new WebSocketServer({ server: http, handleProtocols: () => "vite-hmr" });
    const seen: unknown[] = [];
    sockets.on("connection", (socket, { headers, url }) => {
      seen.push([headers.host, headers.origin, headers.cookie, url]);
      socket.on("message", (data, isBinary) => {
        if (data.toString() === "bye") return socket.close(4001, "done");
        socket.send(data, { binary: isBinary });
      });
    });
    const server = await listen(http);
    const { box } = await serverWith(server);
    const { url } = await box.preview(server.port);
    const { origin } = new URL(url);
    const socket = new WebSocket(`${url.replace("http", "ws")}?token=1`, ["vite-hmr"], {
      lookup: lookup as never,
      headers: { origin, cookie: "a=1" },
    });
    await once(socket, "open");
    expect(socket.protocol).toBe("vite-hmr");
    const host = `localhost:${server.port}`;
    expect(seen).toEqual([[host, `http://${host}`, "a=1", "/?token=1"]]);
    for (const message of ["text ü", Buffer.from([0, 1, 255]), Buffer.alloc(300_000, 7)]) {
      const answered = once(socket, "message");
      socket.send(message);
      const [data, isBinary] = await answered;
      expect(isBinary).toBe(typeof message !== "string");
      expect(Buffer.compare(data, Buffer.from(message))).toBe(0);
    }
    const closed = once(socket, "close");
    socket.send("bye");
    const [code, reason] = await closed;
    expect([code, reason.toString()]).toEqual([4001, "done"]);
    const other = await webSocket(url);
    other.terminate();
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });
});

describe("the way to a preview", () => {
  it("is its secret alone, and no other box's", async () => {
    const server = await page((_request, response) => response.end("seen"));
    const { box, client, api } = await serverWith(server);
    const one = new URL((await box.preview(server.port)).url).hostname;
    const other = new URL((await (await client.create("fake")).preview(server.port)).url).hostname;
    const again = new URL((await box.preview(server.port)).url).hostname;
    expect(new Set([one, other, again]).size).toBe(3);
    const [port, id] = one.split("-");
    const [, , secret] = other.split("-");
    const wrong = [
      `${port}-${id}-${secret}`,
      `${port}-${id}-${"a".repeat(26)}.localhost`,
      `1${one}`,
      "x.localhost",
    ];
    for (const host of [...wrong, `a.${one}`, one.replace(".", ".a."), `${port}-${id}-.localhost`]) {
      const { status, text } = await get(api, { headers: { host } });
      expect([host, status]).toEqual([host, 404]);
      expect(text).not.toContain("seen");
    }
    expect((await get(api, { headers: { host: one.toUpperCase() } })).text).toBe("seen");
  });

  it("has nothing of the API, and the API nothing of it", async () => {
    const server = await page((request, response) => response.end(`box ${request.url}`));
    const { box, api } = await serverWith(server);
    const { url } = await box.preview(server.port);
    expect((await get(new URL("/v1/info", url))).text).toBe("box /v1/info");
    expect((await get(new URL("/v1/boxes", url), { method: "POST" })).text).toBe("box /v1/boxes");
    expect((await get(`${api}/`)).status).toBe(404);
    const headers = { origin: new URL(url).origin };
    expect((await get(`${api}/v1/info`, { headers })).status).toBe(403);
    const socket = new WebSocket(`${url.replace("http", "ws")}v1/boxes/${box.id}/attach`, {
      lookup: lookup as never,
    });
    const [error] = await once(socket, "error");
    expect(String(error)).toContain("502");
  });

  it("is no other name that leads to this machine", async () => {
    const { box, api } = await serverWith();
    const { hostname } = new URL((await box.preview(80)).url);
    const label = hostname.split(".")[0];
    for (const host of [
      "evil.example",
      `${label}.evil.example`,
      `${label}.localhost.evil.example`,
      `${hostname}.`,
    ])
      expect([host, (await get(api, { headers: { host } })).status]).toEqual([host, 403]);
  });

  it("ends when the preview is closed, with what is open", async () => {
    const http = createServer((_request, response) => void response.write("begun"));
    new WebSocketServer({ server: http });
    const server = await listen(http);
    const { box } = await serverWith(server);
    const preview = await box.preview(server.port);
    const other = await box.preview(server.port);
    const socket = await webSocket(preview.url);
    const answer = await open(preview.url);
    const cut = once(answer, "error");
    answer.resume();
    const closed = once(socket, "close");
    await Promise.all([preview.close(), preview.close()]);
    await closed;
    await cut;
    expect((await get(preview.url)).status).toBe(404);
    const still = await open(other.url);
    expect(still.statusCode).toBe(200);
    still.destroy();
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("ends with the run of its box, however that ends", async () => {
    const server = await page((_request, response) => response.end("seen"));
    const { backend, box } = await serverWith(server);
    const { url } = await box.preview(server.port);
    expect((await get(url)).text).toBe("seen");
    await backend.stopBox(box.id);
    const stoppedAt = Date.now();
    await vi.waitUntil(() => Date.now() > stoppedAt, { interval: 1 });
    await backend.startBox(box.id);
    expect((await get(url)).status).toBe(404);
    const next = await box.preview(server.port);
    await box.remove({ force: true });
    expect((await get(next.url)).status).toBe(404);
    await next.close();
  });

  it("is refused for wrong ports and boxes that do not run", async () => {
    const { box } = await serverWith();
    for (const port of [0, 65_536, 1.5, "80" as never])
      expect(await failure(box.preview(port))).toMatchObject({ code: "VALIDATION_ERROR" });
    await box.stop();
    expect(await failure(box.preview(80))).toMatchObject({ code: "BOX_NOT_RUNNING" });
  });
});

describe("a server that other machines reach", () => {
  it("needs a domain for previews", async () => {
    const { backend } = await serverWith();
    const ask = (handler: ReturnType<typeof createHandler>, id: string) =>
      handler(`http://api.example.com:8080/v1/boxes/${id}/ports/80/preview`, { method: "POST" });
    const [{ id }] = (await backend.listBoxes({})) as unknown as [{ id: string }];
    const refused = await ask(createHandler(backend), id);
    expect(await refused.json()).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("--preview-domain"),
    });
    const handler = createHandler(backend, { previewDomain: "preview.example.com" });
    const { url } = (await (await ask(handler, id)).json()) as { url: string };
    expect(url).toMatch(/^http:\/\/80-[a-z0-9]+-[a-z2-7]{26}\.preview\.example\.com:8080\/$/);
    expect((await handler(url)).status).toBe(502);
    expect((await handler("http://other.preview.example.com/v1/info")).status).toBe(404);
    for (const previewDomain of ["", "A.example", "a.example:80", "http://a.example", 1 as never])
      expect(
        await failure(Promise.resolve().then(() => createHandler(backend, { previewDomain }))),
      ).toMatchObject({
        code: "VALIDATION_ERROR",
      });
  });
});
