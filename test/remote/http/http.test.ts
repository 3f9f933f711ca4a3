import { describe, expect, it } from "vitest";
import { parseBoxSpec } from "../../../src/backend/validate.js";
import { BoxRunClient } from "../../../src/index.js";
import { connectRemote } from "../../../src/remote/index.js";
import { failure, pattern, streamOf } from "../../../src/testing/contract/tools.js";
import { BOX, EXEC, FILE, json, OURS, PLAIN, SPEC, serve, startServer, WITH_FILES } from "../servers.js";

describe("requests", () => {
  it("send what the published API has, and read what its servers send", async () => {
    const { backend, server } = await serve(PLAIN, (_request, response) =>
      json(response, { ...BOX, status: "hibernating", boxlite_id: "x", something_new: { a: 1 } }, 201),
    );
    const box = await backend.createBox({ ...SPEC, env: { A: "b" } }, {});
    expect(box).toMatchObject({ id: BOX.id, status: "hibernating", errorCode: null, stoppedAt: null });
    expect(box.startedAt).toEqual(new Date("2026-01-01T00:00:01Z"));
    const sent = server.seen.at(-1)!;
    expect([sent.method, sent.path]).toEqual(["POST", "/v1/boxes"]);
    expect(sent.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(sent.body)).toEqual({
      image: "alpine",
      cpu: 2,
      memory_mb: 1024,
      disk_size_gb: 8,
      network: false,
      workdir: "/root",
      env: { A: "b" },
    });
  });

  it("keep whatever a box is called in one segment of the path", async () => {
    const { backend, server } = await serve(PLAIN, (_request, response) => json(response, BOX));
    await backend.getBox("\u{1f600}...");
    await backend.getBox("a/b?c#d%20:stop");
    expect(server.seen.at(-1)!.path).toBe("/v1/boxes/a%2Fb%3Fc%23d%2520%3Astop");
    const before = server.seen.length;
    for (const id of [".", "..", "", "a\ud800", "\ud800"]) {
      expect(await failure(backend.getBox(id))).toMatchObject({ code: "BOX_NOT_FOUND" });
    }
    for (const id of ["..", "\udc00"])
      expect(await failure(backend.getExec(BOX.id, id))).toMatchObject({ code: "EXEC_NOT_FOUND" });
    expect(server.seen).toHaveLength(before);
  });

  it("carry the token of the moment and the headers, and come under the base's own path", async () => {
    const server = await startServer((request, response) =>
      json(response, request.path.endsWith("/info") ? OURS : BOX),
    );
    let count = 0;
    const client = new BoxRunClient({
      backend: "remote",
      baseUrl: `${server.baseUrl}/prefix/`,
      token: async () => `secret-${++count}`,
      headers: { "x-team": "blue" },
    });
    await client.getBox("a");
    const { path, headers } = server.seen.at(-1)!;
    expect(path).toBe("/prefix/v1/boxes/a");
    expect(headers).toMatchObject({
      authorization: "Bearer secret-2",
      "x-team": "blue",
      "boxrun-client": "1",
    });
  });

  it("ask for another token when one is refused, once, for every request but a body that is used up", async () => {
    const good = new Set(["Bearer new"]);
    const server = await startServer((request, response) => {
      if (!good.has(request.headers["authorization"] ?? ""))
        return json(response, { code: "X", message: "no" }, 401);
      json(response, request.path.endsWith("/info") ? OURS : request.method === "POST" ? EXEC : BOX);
    });
    let kept: string | undefined = "old";
    const asked: boolean[] = [];
    const backend = await connectRemote({
      baseUrl: server.baseUrl,
      token: ({ refused }) => {
        asked.push(refused);
        if (refused) kept = "new";
        return kept!;
      },
    });
    expect(asked).toEqual([false, true]);
    kept = "old";
    const { id } = await backend.startExec(BOX.id, {
      cmd: ["true"],
      env: null,
      workdir: null,
      timeoutMs: null,
      stdin: false,
    });
    expect(id).toBe(EXEC.id);
    expect(server.seen.filter(({ method }) => method === "POST")).toHaveLength(2);
    good.clear();
    expect(await failure(backend.getBox("a"))).toMatchObject({
      status: 401,
      method: "GET",
      path: "/v1/boxes/a",
    });
    expect(server.seen.filter(({ path }) => path === "/v1/boxes/a")).toHaveLength(2);
  });

  it("ask for another token when one is refused with a body that is used up, for the next request", async () => {
    const server = await startServer((request, response) => {
      if (request.headers.authorization !== "Bearer new") return json(response, {}, 401);
      json(response, request.path.endsWith("/info") ? OURS : { ok: true });
    });
    let kept = "new";
    const backend = await connectRemote({
      baseUrl: server.baseUrl,
      token: ({ refused }) => {
        if (refused) kept = "new";
        return kept;
      },
    });
    const upload = () => backend.upload(BOX.id, "/x", streamOf(pattern(10), 10), { mode: 0o644 });
    kept = "old";
    expect(await failure(upload())).toMatchObject({ status: 401, retryable: true });
    expect(server.seen).toHaveLength(2);
    await upload();
    expect(server.seen).toHaveLength(3);
  });

  it("give up on a token that never comes", async () => {
    const pending = connectRemote({
      baseUrl: "http://127.0.0.1:1",
      token: () => new Promise<string>(() => {}),
      timeouts: { requestMs: 50 },
    });
    expect(await failure(pending)).toMatchObject({ code: "CONNECTION_FAILED", path: "/v1/info" });
  });

  it("never show the token in an error", async () => {
    const { backend } = await serve(
      PLAIN,
      (_request, response) => json(response, { code: "X", message: "no" }, 401),
      { token: "hunter2" },
    );
    const refused = await failure(backend.getBox("a"));
    expect(refused).toMatchObject({ code: "RUNTIME_ERROR", status: 401 });
    expect(refused.message).toMatch(/token/);
    const bad = await failure(connectRemote({ baseUrl: "http://127.0.0.1:1", token: () => "hunter2\n" }));
    expect(bad).toMatchObject({ code: "VALIDATION_ERROR" });
    const inspect = (error: Error) => JSON.stringify([error.message, error.stack, String(error.cause)]);
    expect(inspect(refused) + inspect(bad)).not.toContain("hunter2");
  });
});

describe("answers that are errors", () => {
  const answer = async (status: number, body: string, headers = {}) => {
    const { backend } = await serve(PLAIN, (_request, response) => {
      response.writeHead(status, headers);
      response.end(body);
    });
    return failure(backend.createBox(SPEC, {}));
  };

  it("have their code, status, method and path", async () => {
    const error = await answer(409, '{"code": "NAME_ALREADY_EXISTS", "message": "taken"}');
    expect(error).toMatchObject({ code: "NAME_ALREADY_EXISTS", status: 409, retryable: false });
    expect(error.message).toBe("POST /v1/boxes: taken");
  });

  it("keep a code that is not known in the message", async () => {
    const error = await answer(418, '{"code": "TEAPOT", "message": "short and stout"}');
    expect(error).toMatchObject({ code: "RUNTIME_ERROR", status: 418 });
    expect(error.message).toContain("TEAPOT: short and stout");
  });

  it.each([
    [502, "<html>\n<h1>Bad   gateway</h1>", false, "status 502: <html> <h1>Bad gateway</h1>"],
    [413, "", false, "status 413"],
    [429, "slow down", true, "status 429: slow down"],
    [500, '{"detail": "x"}', false, 'status 500: {"detail": "x"}'],
    [422, '{"code": 5}', false, 'status 422: {"code": 5}'],
  ])("need not be of the API: %d %j", async (status, body, retryable, message) => {
    const error = await answer(status, body);
    expect(error).toMatchObject({ code: "RUNTIME_ERROR", status, retryable });
    expect(error.message).toContain(message);
  });

  it("are redirects, too: a POST that is redirected would go on as a GET", async () => {
    const error = await answer(302, "", { location: "https://elsewhere.example/v1/boxes" });
    expect(error).toMatchObject({ code: "PROTOCOL_ERROR", status: 302 });
    expect(error.message).toContain("elsewhere.example");
  });

  it.each([
    ["<!doctype html><p>Log in", /not JSON: <!doctype html>/],
    ["", /id is missing/],
    ["[]", /must be an object, got array/],
    [JSON.stringify({ ...BOX, created_at: "yesterday" }), /created_at must be a time/],
    [
      JSON.stringify({ ...BOX, volumes: [{ host_path: 5 }] }),
      /volumes\[0\]\.host_path must be a string, got number/,
    ],
  ])("are what breaks the schema, with the path: %s", async (body, message) => {
    const error = await answer(201, body);
    expect(error).toMatchObject({ code: "PROTOCOL_ERROR" });
    expect(error.message).toMatch(message);
  });
});

describe("operations on files", () => {
  const path = new TextEncoder().encode("/srv");
  const list = { op: "list", path } as const;

  it("are UNSUPPORTED over a server that does not name them, and nothing is sent", async () => {
    for (const info of [PLAIN, OURS]) {
      const { backend, server } = await serve(info, (_request, response) => json(response, []));
      expect(backend.capabilities.files).toMatch(/runs commands/);
      expect(await failure(backend.fileOperation(BOX.id, list, {}))).toMatchObject({ code: "UNSUPPORTED" });
      expect(server.seen).toHaveLength(1);
    }
  });

  it.each<[object, RegExp]>([
    [{ ...FILE, name: "a/b" }, /name/],
    [{ ...FILE, name: "a\0" }, /name/],
    [{ ...FILE, name: "", name_b64: "!" }, /name/],
    [{ ...FILE, name: "a", modified_at: "soon" }, /modified_at/],
    [{ ...FILE, name: "a", size: "5" }, /size/],
  ])("are a PROTOCOL_ERROR where the answer is not what it should be: %j", async (entry, message) => {
    const { backend } = await serve(WITH_FILES, (_request, response) => json(response, [entry]));
    const error = await failure(backend.fileOperation(BOX.id, list, {}));
    expect(error).toMatchObject({ code: "PROTOCOL_ERROR" });
    expect(error.message).toMatch(message);
  });

  it("take what a newer server may send, and no reason that is none", async () => {
    const { backend } = await serve(WITH_FILES, ({ path: asked }, response) =>
      asked.endsWith("list")
        ? json(response, [{ ...FILE, name: "a", type: "socket", inode: 5 }])
        : json(response, { code: "RUNTIME_ERROR", message: "no", errno: "" }, 400),
    );
    expect(await backend.fileOperation(BOX.id, list, {})).toMatchObject([{ type: "other", size: 1 }]);
    const error = await failure(backend.fileOperation(BOX.id, { op: "remove", path }, {}));
    expect(error).toMatchObject({ code: "RUNTIME_ERROR", status: 400 });
    expect(error.cause).toBeUndefined();
  });
});

describe("what a plain server cannot do", () => {
  it("is refused here, with what to use instead, and never asked for", async () => {
    const { backend, server } = await serve(PLAIN, (_request, response) => json(response, {}));
    const spec = { cmd: ["cat"], env: null, workdir: null, timeoutMs: null, stdin: true };
    const refused = [
      backend.startExec(BOX.id, spec),
      backend.signalExec(BOX.id, EXEC.id, "SIGINT"),
      backend.usage(BOX.id),
      backend.images(),
      backend.pullImage("alpine", {}),
    ];
    for (const call of refused) {
      const error = await failure(call);
      expect(error).toMatchObject({ code: "UNSUPPORTED" });
      expect(error.message).toMatch(/upload|cancel|df|aliases|create/);
    }
    expect(server.seen).toHaveLength(1);
    expect(backend.capabilities).toMatchObject({ network: true, volumes: true, persistence: true });
    expect((await backend.info()).description).toContain(server.baseUrl);
  });

  it("is believed of a server that lists it, whoever made the server, and of no other", async () => {
    const other = await serve({ ...PLAIN, capabilities: ["stdin"], server: "other/1" }, () => {});
    expect(other.backend.capabilities).toMatchObject({
      stdin: true,
      signal: expect.any(String),
      network: true,
    });
    const silent = await serve({ ...PLAIN, server: "boxrun-ts/9" }, () => {});
    expect(silent.backend.capabilities.stdin).toMatch(/this server/);
    const extended = await serve({ ...PLAIN, capabilities: ["extended", "volumes"] }, () => {});
    expect(extended.backend.capabilities).toMatchObject({ network: expect.any(String), volumes: true });
    // Secrets are for a network: why there is none is what helps.
    expect(extended.backend.capabilities.secrets).toMatch(/--allow-network/);
  });

  it("is no set of rules for the network of a box", async () => {
    const { backend, server } = await serve(PLAIN, (_request, response) => json(response, {}));
    const spec = parseBoxSpec({ image: "alpine", network: { allow: ["pypi.org"] } });
    expect(await failure(backend.createBox(spec, {}))).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringMatching(/^network: this server has no rules for it/),
      hint: "use network: true",
    });
    expect(server.seen).toHaveLength(1);
  });
});
