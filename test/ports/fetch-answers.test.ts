import { once } from "node:events";
import { createServer } from "node:net";
import { gzipSync } from "node:zlib";
import { describe, expect, it, vi } from "vitest";
import { failure, pattern, streamOf } from "../../src/testing/contract/tools.js";
import { ask, httpServer, listen, rawServer } from "./local-server.js";

describe("an answer", () => {
  it("has its status, its headers and a body that streams", async () => {
    const server = await httpServer((_request, response) => {
      response.writeHead(
        201,
        "Made",
        [
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
          ["x-own", "1"],
        ].flat(),
      );
      response.write("first");
      response.once("drain", () => {});
      setImmediate(() => response.write("second"));
    });
    const response = await ask(server);
    expect([response.status, response.statusText, response.ok]).toEqual([201, "Made", true]);
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    const reader = response.body!.getReader();
    let text = "";
    while (text.length < 11) text += new TextDecoder().decode((await reader.read()).value);
    expect(text).toBe("firstsecond");
    await reader.cancel();
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("comes whole, by its length, in chunks and to the end of the connection", async () => {
    const bytes = Buffer.from(pattern(2_000_000));
    const server = await httpServer((request, response) => {
      if (request.url === "/length") response.setHeader("content-length", bytes.length);
      if (request.url === "/end") response.useChunkedEncodingByDefault = false;
      response.end(bytes);
    });
    for (const path of ["/length", "/chunks", "/end"]) {
      const got = new Uint8Array(await (await ask(server, path)).arrayBuffer());
      expect(Buffer.compare(got, bytes)).toBe(0);
    }
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("is inflated", async () => {
    const server = await httpServer((_request, response) =>
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("plain")),
    );
    const response = await ask(server);
    expect([await response.text(), response.headers.get("content-encoding")]).toEqual(["plain", null]);
  });

  it("has no body after HEAD, with 204 and with 304, whatever its headers say", async () => {
    const server = await httpServer((request, response) => {
      response
        .writeHead(request.method === "HEAD" ? 200 : Number(request.url!.slice(1)), { "content-length": 5 })
        .end();
    });
    expect(await (await ask(server, "/", { method: "HEAD" })).text()).toBe("");
    for (const status of [204, 304]) {
      const response = await ask(server, `/${status}`);
      expect([response.status, response.body]).toEqual([status, null]);
    }
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("may come after others that only tell of it", async () => {
    const server = await rawServer(
      "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    );
    expect(await (await ask(server)).text()).toBe("ok");
  });

  it("is refused when those that only tell of it never end", async () => {
    const server = await rawServer("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(5000));
    expect(await failure(ask(server))).toMatchObject({ code: "PROTOCOL_ERROR" });
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it.each([
    ["another protocol", "SSH-2.0-OpenSSH\r\n\r\n", "PROTOCOL_ERROR", /status line/],
    ["a line without a colon", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "PROTOCOL_ERROR", /malformed header/],
    ["a folded line", "HTTP/1.1 200 OK\r\na: 1\r\n folded\r\n\r\n", "PROTOCOL_ERROR", /malformed header/],
    [
      "a head without an end",
      `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(30_000)}\r\n`,
      "PROTOCOL_ERROR",
      /longer than/,
    ],
    ["a status that is none", "HTTP/1.1 999 No\r\ncontent-length: 0\r\n\r\n", "PROTOCOL_ERROR", /status 999/],
    ["half a head", "HTTP/1.1 200 OK\r\n", "STREAM_INTERRUPTED", /before its answer was complete/],
    ["nothing", "", "STREAM_INTERRUPTED", /before its answer was complete/],
  ])("that begins with %s is refused", async (_what, answer, code, message) => {
    const server = await rawServer(answer);
    expect(await failure(ask(server))).toMatchObject({ code, message: expect.stringMatching(message) });
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it.each([
    ["content-length: 5\r\n\r\nabc", "STREAM_INTERRUPTED"],
    ["content-length: 3, 4\r\n\r\nabc", "PROTOCOL_ERROR"],
    ["content-length: -1\r\n\r\nabc", "PROTOCOL_ERROR"],
    ["transfer-encoding: gzip\r\n\r\nabc", "PROTOCOL_ERROR"],
    ["content-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc", "PROTOCOL_ERROR"],
    ["transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", "STREAM_INTERRUPTED"],
    ["transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", "PROTOCOL_ERROR"],
    ["transfer-encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", "PROTOCOL_ERROR"],
  ])("whose body is not in order fails: %j", async (rest, code) => {
    const server = await rawServer(`HTTP/1.1 200 OK\r\n${rest}`);
    const work = ask(server).then((response) => response.text());
    expect(await failure(work)).toMatchObject({ code });
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("is given up when the signal aborts, before it and in the middle", async () => {
    const silent = await listen(createServer((socket) => void socket.resume()));
    const reason = new Error("enough");
    const first = new AbortController();
    const waiting = ask(silent, "/", { signal: first.signal });
    await vi.waitFor(() => expect(silent.open()).toBe(1));
    first.abort(reason);
    expect(await failure(waiting)).toBe(reason);
    const endless = await httpServer((_request, response) => void response.write("x"));
    const second = new AbortController();
    const response = await ask(endless, "/", { signal: second.signal });
    const reading = response.text();
    second.abort(reason);
    expect(await failure(reading)).toBe(reason);
    await vi.waitFor(() => expect(silent.open() + endless.open()).toBe(0));
  });
});

describe("a redirect", () => {
  const redirecting = (status: number, location: string) =>
    httpServer(async (request, response) => {
      if (request.url !== "/from") return response.end(`${request.method} ${request.url}`);
      request.resume();
      await once(request, "end");
      response.writeHead(status, { location }).end("elsewhere");
    });

  it.each([
    [301, "GET", "POST", "GET /to"],
    [303, "GET", "PUT", "GET /to"],
    [307, "POST", "POST", "POST /to"],
    [308, "PUT", "PUT", "PUT /to"],
  ])("of status %i is followed by %s", async (status, _by, method, text) => {
    const server = await redirecting(status, "/to");
    const response = await ask(server, "/from", { method, body: "x" });
    expect(await response.text()).toBe(text);
    expect(response.url).toBe(`http://localhost:${server.port}/to`);
  });

  it("is left to the caller where it leads elsewhere, has no body left to send, or is not to be followed", async () => {
    const elsewhere = await ask(await redirecting(302, "http://example.test/"), "/from");
    expect([elsewhere.status, elsewhere.headers.get("location")]).toEqual([302, "http://example.test/"]);
    const body = streamOf(new Uint8Array(1), 1);
    expect((await ask(await redirecting(307, "/to"), "/from", { method: "POST", body })).status).toBe(307);
    expect((await ask(await redirecting(302, "/to"), "/from", { redirect: "manual" })).status).toBe(302);
    const error = await failure(ask(await redirecting(302, "/to"), "/from", { redirect: "error" }));
    expect(error).toMatchObject({ code: "PROTOCOL_ERROR" });
  });

  it("is not followed without an end", async () => {
    const error = await failure(ask(await redirecting(302, "/from"), "/from"));
    expect(error).toMatchObject({
      code: "PROTOCOL_ERROR",
      message: expect.stringMatching(/more than 20 times/),
    });
  });
});
