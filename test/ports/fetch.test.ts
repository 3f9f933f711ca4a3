import { createServer } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { portClosed } from "../../src/backend/ports.js";
import { fetchPort } from "../../src/ports/fetch.js";
import { failure, streamOf } from "../../src/testing/contract/tools.js";
import { deferred } from "../../src/util/deferred.js";
import { ask, httpServer, listen } from "./local-server.js";

/** A server that answers with what it was asked. */
const echo = () =>
  httpServer(async (request, response) => {
    const body: Buffer[] = [];
    try {
      for await (const bytes of request) body.push(bytes);
    } catch {
      // The client has gone.
      return;
    }
    const { method, url, headers } = request;
    response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(body).toString() }));
  });

describe("a request to a port", () => {
  it.each([
    [70_000, "got 70000"],
    ["8000", 'got "8000"'],
  ])("names the port %j, which is none", async (port, got) => {
    const connect = () => Promise.reject(new Error("connected"));
    expect(await failure(fetchPort(connect, port as number, "/"))).toMatchObject({
      code: "VALIDATION_ERROR",
      message: `port must be an integer from 1 to 65535, ${got}`,
    });
  });

  it.each([
    [{}, {}, "path must be a string, a URL or a Request, got object"],
    [null, {}, "path must be a string, a URL or a Request, got null"],
    ["ftp://a.example/x", {}, "path must be one of HTTP, got ftp:"],
    ["/", "POST", "options must be an object"],
    ["/", { boddy: "x" }, "unknown option boddy (did you mean body?)"],
    ["/", { headers: { "a b": "x" } }, "headers must be names and values that HTTP permits"],
  ])("is refused when it is no request: %j, %j", async (path, init, message) => {
    const connect = () => Promise.reject(new Error("connected"));
    expect(await failure(fetchPort(connect, 80, path as string, init as RequestInit))).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining(message),
    });
  });

  it("that was redirected says so", async () => {
    const server = await httpServer((request, response) => {
      response.writeHead(request.url === "/" ? 302 : 200, { location: "/there" }).end("there");
    });
    expect((await ask(server)).redirected).toBe(true);
    expect((await ask(server, "/there")).redirected).toBe(false);
  });

  it("is sent to localhost, by its path, with its method and headers", async () => {
    const server = await echo();
    const response = await ask(server, "/a b?x=1#y", {
      method: "delete",
      headers: { "X-Own": "1", connection: "x" },
    });
    expect(await response.json()).toMatchObject({
      method: "DELETE",
      url: "/a%20b?x=1",
      headers: { host: `localhost:${server.port}`, "x-own": "1", connection: "close", accept: "*/*" },
    });
    expect(response.url).toBe(`http://localhost:${server.port}/a%20b?x=1`);
    expect(await (await ask(server, "http://elsewhere.test:1/b")).json()).toMatchObject({ url: "/b" });
  });

  it.each<[string, RequestInit, string, object]>([
    ["is refused", { method: "GET" }, "/", { code: "VALIDATION_ERROR" }],
    ["has a wrong address", { method: "POST" }, "http://[", { code: "VALIDATION_ERROR" }],
    ["is canceled already", { method: "POST", signal: AbortSignal.abort() }, "/", { name: "AbortError" }],
    ["finds nothing that listens", { method: "POST" }, "/", { code: "PORT_CLOSED" }],
  ])("that %s cancels the stream of its body", async (_what, init, path, error) => {
    const cancel = vi.fn();
    const refused = async () => {
      throw portClosed(80);
    };
    const asked = fetchPort(refused, 80, path, { ...init, body: new ReadableStream({ cancel }) });
    expect(await failure(asked)).toMatchObject(error);
    expect(cancel).toHaveBeenCalledOnce();
  });

  it.each<[string, () => NonNullable<RequestInit["body"]>, string, string | undefined, object]>([
    ["text", () => "ä", "ä", "text/plain;charset=UTF-8", { "content-length": "2" }],
    ["bytes", () => new TextEncoder().encode("ab"), "ab", undefined, { "content-length": "2" }],
    ["a Blob", () => new Blob(["ab"], { type: "text/csv" }), "ab", "text/csv", { "content-length": "2" }],
    [
      "parameters",
      () => new URLSearchParams({ a: "b" }),
      "a=b",
      "application/x-www-form-urlencoded;charset=UTF-8",
      {},
    ],
    [
      "a stream",
      () => streamOf(new TextEncoder().encode("ab"), 1),
      "ab",
      undefined,
      { "transfer-encoding": "chunked" },
    ],
  ])("carries %s", async (_what, body, text, type, headers) => {
    const response = await ask(await echo(), "/", { method: "POST", body: body() });
    const seen = (await response.json()) as { body: string; headers: Record<string, string> };
    expect(seen.body).toBe(text);
    expect(seen.headers["content-type"]).toBe(type);
    expect(seen.headers).toMatchObject(headers);
  });

  it("is a Request, too", async () => {
    const request = new Request("http://x.test/form", {
      method: "PUT",
      body: "text",
      headers: { "x-own": "1" },
    });
    const { port, connect } = await echo();
    const seen = await (await fetchPort(connect, port, request)).json();
    expect(seen).toMatchObject({ method: "PUT", url: "/form", body: "text", headers: { "x-own": "1" } });
  });

  const requestWith = (body: NonNullable<RequestInit["body"]>, headers: Record<string, string> = {}) =>
    new Request("http://x.test/", { method: "POST", body, headers, duplex: "half" } as RequestInit);
  /** Yields "a" at once, and "b" only when it is told to. */
  const slowStream = () => {
    const told = deferred<void>();
    const stream = new ReadableStream<Uint8Array>({
      start: async (controller) => {
        controller.enqueue(new TextEncoder().encode("a"));
        await told.promise;
        controller.enqueue(new TextEncoder().encode("b"));
        controller.close();
      },
    });
    return { stream, finish: told.resolve };
  };

  it.each<[string, () => Request, object]>([
    ["text", () => requestWith("ab"), { "content-length": "2", "content-type": "text/plain;charset=UTF-8" }],
    ["bytes", () => requestWith(new TextEncoder().encode("ab")), { "content-length": "2" }],
    ["a Blob", () => requestWith(new Blob(["ab"], { type: "text/csv" })), { "content-length": "2" }],
    [
      "a length",
      () => requestWith(slowStream().stream, { "content-length": "1" }),
      { "content-length": "1" },
    ],
  ])("is a Request with %s, of which the server hears the length", async (what, request, headers) => {
    const { port, connect } = await echo();
    const seen = (await (await fetchPort(connect, port, request())).json()) as {
      headers: object;
      body: string;
    };
    expect(seen.body).toBe(what === "a length" ? "a" : "ab");
    expect(seen.headers).toMatchObject(headers);
    expect(seen.headers).not.toHaveProperty("transfer-encoding");
  });

  it("is a Request with a stream that does not end soon, sent in chunks", async () => {
    const { stream, finish } = slowStream();
    const begun = deferred<void>();
    const server = await httpServer((request, response) => {
      const body: Buffer[] = [];
      request.on("data", (bytes: Buffer) => {
        begun.resolve();
        body.push(bytes);
      });
      request.on("end", () => response.end(`${request.headers["transfer-encoding"]} ${Buffer.concat(body)}`));
    });
    const answer = fetchPort(server.connect, server.port, requestWith(stream));
    await begun.promise;
    finish();
    expect(await (await answer).text()).toBe("chunked ab");
  });

  it("is refused when its body does not have its content-length", async () => {
    const { port, connect } = await echo();
    const asked = (bytes: string) =>
      failure(fetchPort(connect, port, requestWith("ab", { "content-length": bytes })));
    const must = (length: number) => `the body must have the ${length} bytes of its content-length, got 2`;
    expect(await asked("3")).toMatchObject({ code: "VALIDATION_ERROR", message: must(3) });
    expect(await asked("1")).toMatchObject({ code: "VALIDATION_ERROR", message: must(1) });
  });

  it("gives up the body of a Request that nobody takes", async () => {
    const cancel = vi.fn();
    const refused = async () => {
      throw portClosed(80);
    };
    const request = requestWith(new ReadableStream({ cancel }));
    expect(await failure(fetchPort(refused, 80, request))).toMatchObject({ code: "PORT_CLOSED" });
    expect(cancel).toHaveBeenCalledOnce();
  });

  it.each<[string, RequestInit, RegExp]>([
    ["a path", {}, /neither a path nor a URL/],
    ["a method", { method: "A B" }, /method must be an HTTP method, got "A B"/],
    ["a body of GET", { body: "x" }, /GET cannot have a body/],
    ["a body", { method: "POST", body: 5 as never }, /body must be text.* got 5/],
    ["a signal", { signal: {} as AbortSignal }, /signal must be an AbortSignal/],
  ])("with %s that is wrong is refused before anything is sent", async (what, init, message) => {
    const server = await echo();
    const error = await failure(ask(server, what === "a path" ? "http://[" : "/", init));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR", message: expect.stringMatching(message) });
    expect(server.open()).toBe(0);
  });

  it("fails with the error of its source, and is cut", async () => {
    const server = await echo();
    const reason = new Error("no more");
    const body = new ReadableStream({ pull: (controller) => controller.error(reason) });
    expect(await failure(ask(server, "/", { method: "POST", body }))).toBe(reason);
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("is answered before its body is read, by a server that does so", async () => {
    const server = await listen(
      createServer((socket) => {
        socket.once("data", () => socket.write("HTTP/1.1 413 No\r\ncontent-length: 9\r\n\r\ntoo large"));
      }),
    );
    const canceled = vi.fn();
    const body = new ReadableStream({
      pull: async (controller) => {
        await new Promise(setImmediate);
        controller.enqueue(new Uint8Array(65_536));
      },
      cancel: canceled,
    });
    const response = await ask(server, "/", { method: "POST", body });
    expect([response.status, await response.text()]).toEqual([413, "too large"]);
    await vi.waitFor(() => expect(canceled).toHaveBeenCalled());
  });
});

describe("the source of a body that waits for ever is canceled", () => {
  function waiting() {
    const canceled = vi.fn();
    const body = new ReadableStream<Uint8Array>({ cancel: canceled }, { highWaterMark: 0 });
    return { init: { method: "POST", body } as RequestInit, canceled };
  }

  it("when the request is aborted", async () => {
    const { init, canceled } = waiting();
    const server = await echo();
    const stop = new AbortController();
    const asking = failure(ask(server, "/", { ...init, signal: stop.signal }));
    await vi.waitFor(() => expect(server.open()).toBe(1));
    stop.abort();
    expect(await asking).toBe(stop.signal.reason);
    expect(canceled).toHaveBeenCalledOnce();
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("when the answer is complete", async () => {
    const { init, canceled } = waiting();
    const server = await httpServer((_request, response) => response.end("enough"));
    expect(await (await ask(server, "/", init)).text()).toBe("enough");
    await vi.waitFor(() => expect(canceled).toHaveBeenCalledOnce());
  });
});
