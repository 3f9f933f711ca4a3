import type { ServerResponse } from "node:http";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { BackendEvent } from "../../../src/backend/backend.js";
import { failure } from "../../../src/testing/contract/tools.js";
import { BOX, ENDED, EXEC, exit, follow, isEvents, json, log, OURS, PLAIN, serve, sse } from "../servers.js";

const WHOLE = `: hello\n\n${log(1, "one\n")}${log(2, "zwei ö\n", "stderr")}${log(4, "three\n")}${exit(5, 3)}`;
/** Numbered here: the server's own numbers have a gap. */
const EVENTS = ["stdout 1 one\n", "stderr 2 zwei ö\n", "stdout 3 three\n", "exit 4 3"];

/** Ends the connection as a crash does. */
function cut(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

describe("the events of an execution", () => {
  it("come in order, and are asked for as the published API has them", async () => {
    const { backend, server } = await serve(PLAIN, (_request, response) => sse(response).end(WHOLE));
    expect(await follow(backend)).toEqual(EVENTS);
    expect(server.seen.map(({ path }) => path)).toEqual([
      "/v1/info",
      `/v1/boxes/${BOX.id}/exec/${EXEC.id}/events`,
      // Who knows of the end may ask for it next: the server's own state may come later than its events.
      `/v1/boxes/${BOX.id}/exec/${EXEC.id}`,
    ]);
    expect(server.seen[1]!.headers["boxrun-client"]).toBeUndefined();
  });

  it("come exact, and from a cursor on, where a server offers that", async () => {
    const { backend, server } = await serve(OURS, (_request, response) =>
      sse(response).end(log(8, "\ufffd", "stdout", { b64: "/w==" }) + exit(9, 0)),
    );
    const events: BackendEvent[] = [];
    for await (const event of backend.execEvents(BOX.id, EXEC.id, { after: 7 })) events.push(event);
    expect(events[0]).toMatchObject({ bytes: Uint8Array.of(255) });
    expect(server.seen[1]!.path).toMatch(/\/events\?bytes=1&after=7$/);
    expect(server.seen[1]!.headers["boxrun-client"]).toBe("1");
  });

  it("are all there, once, wherever the first connection is cut", async () => {
    const bytes = Buffer.from(WHOLE);
    let at = 0;
    let connections = 0;
    const { backend } = await serve(PLAIN, (request, response) => {
      if (!isEvents(request)) return json(response, connections % 2 === 0 ? ENDED : EXEC);
      const stream = sse(response);
      if (++connections % 2 === 0) return void stream.end(bytes);
      stream.write(bytes.subarray(0, at), () => cut(stream));
    });
    for (at = 0; at < bytes.length; at++) {
      const before = connections;
      expect(await follow(backend)).toEqual(EVENTS);
      // What had come whole before the cut has ended the stream: there is nothing to go back for.
      const complete = at >= bytes.length;
      expect(connections - before).toBe(complete ? 1 : 2);
    }
  });

  it("go on where they were, with a cursor, after many connections that each bring one", async () => {
    const all = [log(1, "a"), log(2, "b"), log(3, "c"), exit(4, 0)];
    const { backend, server } = await serve(OURS, (request, response) => {
      if (!isEvents(request)) return json(response, EXEC);
      const after = Number(new URL(request.path, "http://x").searchParams.get("after") ?? 0);
      const stream = sse(response);
      stream.write(all[after], () => cut(stream));
    });
    expect(await follow(backend)).toEqual(["stdout 1 a", "stdout 2 b", "stdout 3 c", "exit 4 0"]);
    expect(server.seen.filter(isEvents)).toHaveLength(4);
  });

  it("end with the code of the state, when two streams end without one", async () => {
    const { backend, server } = await serve(PLAIN, (request, response) =>
      isEvents(request) ? void sse(response).end(log(1, "out")) : json(response, ENDED),
    );
    expect(await follow(backend)).toEqual(["stdout 1 out", "exit 2 3"]);
    // The second was opened when the command was known to have ended: it holds all there is.
    expect(server.seen.filter(isEvents)).toHaveLength(2);
  });

  it("lose nothing that came between a stream's early end and the command's own", async () => {
    let connections = 0;
    const { backend } = await serve(PLAIN, (request, response) => {
      if (!isEvents(request)) return json(response, ENDED);
      sse(response).end(++connections === 1 ? log(1, "a") : log(1, "a") + log(2, "b"));
    });
    expect(await follow(backend)).toEqual(["stdout 1 a", "stdout 2 b", "exit 3 3"]);
  });

  it.each([
    [{ status: "failed", exit_code: 7 }, "exit 2 7"],
    [{ status: "completed", exit_code: 0 }, "exit 2 0"],
    [{ status: "canceled", exit_code: null }, "exit 2 null"],
    [{ status: "timeout", error_message: "timed out after 5 ms" }, "exit 2 null"],
  ])("ask for the state when the exit has no code: %j", async (state, last) => {
    const { backend } = await serve(PLAIN, (request, response) =>
      isEvents(request)
        ? void sse(response).end(log(1, "x") + exit(2, null))
        : json(response, { ...EXEC, ...state }),
    );
    expect(await follow(backend)).toEqual(["stdout 1 x", last]);
  });

  it.each([
    [{ status: "error", error_message: "the machine is gone" }, "RUNTIME_ERROR", /the machine is gone/],
    [{ status: "succeeded" }, "STREAM_INTERRUPTED", /status succeeded/],
    [{ status: "lost-in-restart" }, "STREAM_INTERRUPTED", /lost-in-restart/],
    [{ status: "running" }, "STREAM_INTERRUPTED", /says that it is running/],
  ])("never make up a code: %j", async (state, code, message) => {
    for (const events of [exit(2, null), ""]) {
      if (events === "" && state.status === "running") continue;
      const { backend } = await serve(PLAIN, (request, response) =>
        isEvents(request) ? void sse(response).end(events) : json(response, { ...EXEC, ...state }),
      );
      const error = await failure(follow(backend));
      expect(error).toMatchObject({ code });
      expect(error.message).toMatch(message);
    }
  });

  it("accept an exit whose number was seen before, as a restarted server makes one up", async () => {
    const { backend } = await serve(PLAIN, (_request, response) => sse(response).end(exit(1, 6)));
    expect(await follow(backend, { after: 9 })).toEqual(["exit 10 6"]);
  });

  it("are given up when no connection brings anything, though the command runs", async () => {
    const { backend, server } = await serve(PLAIN, (request, response) =>
      isEvents(request) ? void sse(response).end() : json(response, EXEC),
    );
    const error = await failure(follow(backend));
    expect(error).toMatchObject({ code: "STREAM_INTERRUPTED", retryable: false });
    expect(server.seen.filter(isEvents)).toHaveLength(6);
  });

  it("are given up when the server is gone", async () => {
    const { backend } = await serve(PLAIN, (request, response) =>
      isEvents(request) ? void sse(response).write(log(1, "x"), () => cut(response)) : cut(response),
    );
    const error = await failure(follow(backend));
    expect(error).toMatchObject({ code: "STREAM_INTERRUPTED" });
    expect((error.cause as Error).message).toMatch(/lost|reset|closed/i);
  });

  it("say that the box is gone when it is", async () => {
    const { backend } = await serve(PLAIN, (request, response) =>
      isEvents(request)
        ? cut(sse(response))
        : json(response, { code: "BOX_NOT_FOUND", message: "there is no box" }, 404),
    );
    expect(await failure(follow(backend))).toMatchObject({ code: "BOX_NOT_FOUND", status: 404 });
  });

  it("come again after silence: the connection may be dead without anybody having said so", async () => {
    let connections = 0;
    const { backend } = await serve(
      PLAIN,
      (request, response) => {
        if (!isEvents(request)) return json(response, EXEC);
        const stream = sse(response);
        if (++connections < 3) stream.write(log(1, "x"));
        else stream.end(log(1, "x") + exit(2, 0));
      },
      { timeouts: { silenceMs: 50 } },
    );
    expect(await follow(backend)).toEqual(["stdout 1 x", "exit 2 0"]);
    expect(connections).toBe(3);
  });

  it("are followed through any silence, where no keep-alives come, while the server says that the command runs", async () => {
    let connections = 0;
    const { backend } = await serve(
      PLAIN,
      (request, response) => {
        if (!isEvents(request)) return json(response, EXEC);
        const stream = sse(response);
        if (++connections > 8) stream.end(exit(1, 0));
      },
      { timeouts: { silenceMs: 100 } },
    );
    expect(await follow(backend)).toEqual(["exit 1 0"]);
    expect(connections).toBe(9);
  });

  it.each([
    ["nothing", () => {}],
    ["silence", sse],
    [
      "an event that is new",
      (response: ServerResponse, count: number) => sse(response).write(log(count, "x")),
    ],
  ])(
    "are given up when the server answers %s, and nothing to the question for the state",
    async (_, answer) => {
      vi.useFakeTimers({ toFake: ["Date"] });
      onTestFinished(() => void vi.useRealTimers());
      const { backend, server } = await serve(
        PLAIN,
        (request, response) => {
          if (isEvents(request)) answer(response, server.seen.length);
          // Long waits, told by the clock alone.
          vi.setSystemTime(Date.now() + 10_000);
        },
        { timeouts: { silenceMs: 20, requestMs: 300 } },
      );
      expect(await failure(follow(backend))).toMatchObject({ code: "STREAM_INTERRUPTED" });
    },
  );

  it("wait for as long as keep-alives come", async () => {
    const { backend, server } = await serve(
      PLAIN,
      (request, response) => {
        if (!isEvents(request)) return json(response, EXEC);
        const stream = sse(response);
        let count = 0;
        const timer = setInterval(() => {
          if (++count < 20) return void stream.write(": keep-alive\n\n");
          clearInterval(timer);
          stream.end(exit(1, 0));
        }, 20);
      },
      { timeouts: { silenceMs: 200 } },
    );
    expect(await follow(backend)).toEqual(["exit 1 0"]);
    expect(server.seen.filter(isEvents)).toHaveLength(1);
  });

  it("are never taken for whole where the last stream is cut off by silence, keep-alives or not", async () => {
    for (const more of ["", ": keep-alive\n\n"]) {
      let connections = 0;
      const { backend } = await serve(
        PLAIN,
        (request, response) => {
          if (!isEvents(request)) return json(response, ENDED);
          const stream = sse(response);
          connections++;
          if (connections === 1) return void stream.end(log(1, "a"));
          if (connections === 3) return void stream.end(log(1, "a") + log(2, "b") + exit(3, 3));
          stream.write(log(1, "a"));
          const timer = setInterval(() => stream.write(more), 50);
          stream.on("close", () => clearInterval(timer));
        },
        { timeouts: { silenceMs: 1000 } },
      );
      expect(await follow(backend)).toEqual(["stdout 1 a", "stdout 2 b", "exit 3 3"]);
      expect(connections).toBe(3);
    }
  });

  it("do not take a slow reader for silence", async () => {
    const { backend, server } = await serve(
      PLAIN,
      (request, response) => {
        if (!isEvents(request)) return json(response, EXEC);
        const stream = sse(response);
        stream.write(log(1, "a"));
        stream.end(exit(2, 0));
      },
      { timeouts: { silenceMs: 30 } },
    );
    const events = backend.execEvents(BOX.id, EXEC.id, { after: 0 })[Symbol.asyncIterator]();
    await events.next();
    // Time that passes is what this is about: three times the silence that would end a connection.
    await new Promise((resolve) => setTimeout(resolve, 90));
    expect((await events.next()).value).toMatchObject({ type: "exit", exitCode: 0 });
    expect(server.seen.filter(isEvents)).toHaveLength(1);
  });

  it("are read at the reader's pace: a server is not drained by a reader that does not read", async () => {
    const piece = log(2, "x".repeat(1_000_000));
    let written = 0;
    const { backend } = await serve(PLAIN, (_request, response) => {
      const stream = sse(response);
      stream.write(log(1, "first"));
      const more = () => {
        while (written < 200) {
          written++;
          if (!stream.write(piece)) return void stream.once("drain", more);
        }
        stream.end(exit(2, 0));
      };
      more();
    });
    const events = backend.execEvents(BOX.id, EXEC.id, { after: 0 })[Symbol.asyncIterator]();
    await events.next();
    // That nothing more is taken shows only in time; a client that drained would have taken all of it by then.
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(written).toBeLessThan(50);
    // Of an event that is sent again and again there is one.
    expect((await events.next()).value).toMatchObject({ type: "log", seq: 2 });
    expect((await events.next()).value).toMatchObject({ type: "exit", seq: 3 });
  });

  it("end at once with the signal's reason, at every point", async () => {
    const reason = new Error("enough");
    const { backend, server } = await serve(PLAIN, (request, response) => {
      if (isEvents(request)) sse(response).write(log(1, "x"));
    });
    const controller = new AbortController();
    const events = backend.execEvents(BOX.id, EXEC.id, { after: 0, signal: controller.signal });
    const reading = (async () => {
      for await (const event of events) if (event.type === "log") controller.abort(reason);
    })();
    expect(await failure(reading)).toBe(reason);
    expect(await failure(follow(backend, { signal: controller.signal }))).toBe(reason);

    const late = new AbortController();
    const opening = failure(follow(backend, { signal: late.signal }));
    await server.came(/events/, 2);
    late.abort(reason);
    expect(await opening).toBe(reason);
  });

  it("let go of the connection when the reader leaves", async () => {
    let closed!: () => void;
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const { backend } = await serve(PLAIN, (_request, response) => {
      response.on("close", closed);
      sse(response).write(log(1, "x"));
    });
    for await (const event of backend.execEvents(BOX.id, EXEC.id, { after: 0 })) {
      expect(event.type).toBe("log");
      break;
    }
    await gone;
  });

  it.each([
    ["event: log\ndata: no JSON\n\n", /event log.* must be JSON/],
    [`event: exit\ndata: {"seq": 1, "data": "{}}"}\n\n`, /event exit: .*data must be JSON/],
    [`event: log\ndata: {"stream": "stdout", "data": "x"}\n\n`, /seq/],
  ])("that break the schema are an error that says where: %j", async (text, message) => {
    const { backend, server } = await serve(PLAIN, (_request, response) => sse(response).end(text));
    const error = await failure(follow(backend));
    expect(error).toMatchObject({ code: "PROTOCOL_ERROR" });
    expect(error.message).toMatch(message);
    expect(server.seen.filter(isEvents)).toHaveLength(1);
  });

  it("are not read out of a web page", async () => {
    const { backend } = await serve(PLAIN, (_request, response) => {
      response.writeHead(200, { "content-type": "text/html" });
      response.end("<!doctype html><title>Welcome</title>");
    });
    const error = await failure(follow(backend));
    expect(error).toMatchObject({ code: "PROTOCOL_ERROR" });
    expect(error.message).toContain("<title>Welcome");
  });

  it("open after a server was busy, when it says", async () => {
    let tries = 0;
    const { backend } = await serve(PLAIN, (request, response) => {
      if (!isEvents(request)) return json(response, ENDED);
      if (++tries < 3) {
        response.writeHead(503, { "retry-after": "0" });
        return void response.end("busy");
      }
      sse(response).end(exit(1, 0));
    });
    expect(await follow(backend)).toEqual(["exit 1 0"]);
    expect(tries).toBe(3);
  });
});
