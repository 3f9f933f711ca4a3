import { createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { BoxRunClient } from "../../../src/index.js";
import { connectRemote } from "../../../src/remote/index.js";
import { failure } from "../../../src/testing/contract/tools.js";
import { BOX, EXEC, exit, FILE, json, OURS, PLAIN, SPEC, serve, sse, WITH_FILES } from "../servers.js";

describe("trying again", () => {
  it("is for questions: a GET is asked again after a lost connection or a busy server", async () => {
    let tries = 0;
    const { backend } = await serve(PLAIN, (_request, response) => {
      tries++;
      if (tries === 1) return void response.socket?.resetAndDestroy();
      if (tries === 2) return json(response, {}, 503, { "retry-after": "0" });
      json(response, BOX);
    });
    expect(await backend.getBox("a")).toMatchObject({ id: BOX.id });
    expect(tries).toBe(3);
  });

  it("is for the POSTs that only ask, too", async () => {
    const tries = new Map<string, number>();
    const { backend } = await serve(WITH_FILES, ({ path }, response) => {
      const count = (tries.get(path) ?? 0) + 1;
      tries.set(path, count);
      if (count === 1) return void response.socket?.resetAndDestroy();
      if (count === 2) return json(response, {}, 503, { "retry-after": "0" });
      json(response, path.endsWith("stat") ? FILE : [{ ...FILE, name: "a" }]);
    });
    const path = new TextEncoder().encode("/srv");
    expect(await backend.fileOperation(BOX.id, { op: "stat", path, followLinks: true }, {})).toHaveLength(1);
    expect(await backend.fileOperation(BOX.id, { op: "list", path }, {})).toHaveLength(1);
    expect([...tries.values()]).toEqual([3, 3]);
  });

  it("is never for what may have been done", async () => {
    const calls = [
      "createBox",
      "startExec",
      "stopBox",
      "cancelExec",
      "removeBox",
      "mkdir",
      "rename",
      "remove",
    ] as const;
    const path = new TextEncoder().encode("/srv");
    for (const status of [0, 500, 502, 503, 504]) {
      const { backend, server } = await serve(WITH_FILES, (_request, response) =>
        status === 0
          ? void response.socket?.resetAndDestroy()
          : json(response, {}, status, { "retry-after": "0" }),
      );
      const exec = { cmd: ["true"], env: null, workdir: null, timeoutMs: null, stdin: false };
      const made = {
        createBox: () => backend.createBox(SPEC, {}),
        startExec: () => backend.startExec(BOX.id, exec),
        stopBox: () => backend.stopBox(BOX.id),
        cancelExec: () => backend.cancelExec(BOX.id, EXEC.id),
        removeBox: () => backend.removeBox(BOX.id, { force: true }),
        mkdir: () => backend.fileOperation(BOX.id, { op: "mkdir", path, mode: 0o755, recursive: true }, {}),
        rename: () => backend.fileOperation(BOX.id, { op: "rename", path, to: path }, {}),
        remove: () => backend.fileOperation(BOX.id, { op: "remove", path }, {}),
      };
      for (const name of calls) {
        const before = server.seen.length;
        const error = await failure(made[name]());
        expect(error).toMatchObject({
          code: status === 0 ? "CONNECTION_FAILED" : "RUNTIME_ERROR",
          retryable: status === 503 || (name === "removeBox" && status !== 500),
        });
        expect(error.message.includes("may have run")).toBe(
          status !== 503 && status !== 500 && name !== "removeBox",
        );
        expect(server.seen.length - before).toBe(1);
      }
    }
  });

  it("is offered where nothing was sent, or nothing is done twice; not once an answer may have been lost", async () => {
    const { backend, server } = await serve(
      OURS,
      ({ path }, response) => {
        if (path.endsWith("download")) return void response.writeHead(200).flushHeaders();
        if (path.includes("stdin")) return void response.writeHead(200).write(" ", () => response.destroy());
      },
      // Long enough for an answer on a busy machine.
      { timeouts: { requestMs: 500, lifecycleMs: 500, silenceMs: 500 } },
    );
    const exec = { cmd: ["true"], env: null, workdir: null, timeoutMs: null, stdin: false };
    const start = () => failure(backend.startExec(BOX.id, exec));
    expect(await start()).toMatchObject({ code: "CONNECTION_FAILED", retryable: false });
    const written = failure(backend.writeStdin(BOX.id, EXEC.id, new Uint8Array(1)));
    expect(await written).toMatchObject({ code: "STREAM_INTERRUPTED", retryable: false });
    const { stream } = await backend.download(BOX.id, "/x", {});
    expect(await failure(new Response(stream).text())).toMatchObject({ retryable: true });
    await server.stop();
    // It notices first that its connections are gone.
    expect(await failure(backend.getBox("a"))).toMatchObject({ retryable: true });
    expect(await start()).toMatchObject({ code: "CONNECTION_FAILED", retryable: true });
  });

  it("is not offered for a command that runs, whatever cannot be told of it", async () => {
    const { backend } = await serve(PLAIN, ({ method, path }, response) => {
      if (method === "POST") return json(response, EXEC);
      if (path.includes("events")) return sse(response).end(exit(1, null));
      json(response, path.endsWith(BOX.id) ? BOX : {}, path.endsWith(BOX.id) ? 200 : 503);
    });
    const box = await new BoxRunClient({ backend }).getBox(BOX.id);
    expect(await failure(box.exec("true"))).toMatchObject({ status: 503, retryable: false });
  });

  it("is left to the caller when the server wants a long pause", async () => {
    const { backend, server } = await serve(PLAIN, (_request, response) =>
      json(response, {}, 429, { "retry-after": "3600" }),
    );
    expect(await failure(backend.getBox("a"))).toMatchObject({ status: 429, retryable: true });
    expect(server.seen).toHaveLength(2);
  });

  it("ends with the signal", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const { backend } = await serve(PLAIN, (_request, response) => {
      controller.abort(reason);
      json(response, {}, 503);
    });
    expect(await failure(backend.waitExec(BOX.id, EXEC.id, { signal: controller.signal }))).toBe(reason);
  });
});

describe("clocks", () => {
  it("end a question that is not answered, or only half", async () => {
    for (const half of [false, true]) {
      const { backend, server } = await serve(
        PLAIN,
        (_request, response) => {
          if (half) response.writeHead(200).write('{"id":');
        },
        { timeouts: { requestMs: 60 } },
      );
      const error = await failure(backend.getBox("a"));
      expect(error).toMatchObject({ code: "CONNECTION_FAILED", retryable: true });
      expect(error.message).toContain("no answer within 60 ms");
      expect(server.seen).toHaveLength(2);
    }
  });

  it("leave what takes long its time", async () => {
    const { backend } = await serve(
      PLAIN,
      (_request, response) => void setTimeout(() => json(response, BOX, 201), 150),
      { timeouts: { requestMs: 40, silenceMs: 40 } },
    );
    expect(await backend.createBox(SPEC, {})).toMatchObject({ id: BOX.id });
    expect(await failure(backend.getBox("a"))).toMatchObject({ code: "CONNECTION_FAILED" });
  });

  it("are bounded for creations, too", async () => {
    const { backend } = await serve(PLAIN, () => {}, { timeouts: { lifecycleMs: 50 } });
    expect((await failure(backend.createBox(SPEC, {}))).message).toContain("no answer within 50 ms");
  });
});

describe("a server that accepts and says nothing", () => {
  it("is given up", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as { port: number };
    const connecting = connectRemote({ baseUrl: `http://127.0.0.1:${port}` }, { probeMs: 80 });
    expect(await failure(connecting)).toMatchObject({ code: "CONNECTION_FAILED" });
  });
});
