import { beforeEach, describe, expect, it, vi } from "vitest";
import { createHandler } from "../../src/server/handler.js";
import { serve } from "../../src/server/node/serve.js";
import type { HandlerOptions } from "../../src/server/options.js";
import { ScriptedBackend } from "./scripted-backend.js";

const BASE = "http://127.0.0.1:9090";
const BOX_KEYS =
  "id name status image cpu memory_mb disk_size_gb network workdir env volumes boxlite_id error_code error_message created_at started_at stopped_at";
const EXEC_KEYS =
  "id box_id status cmd env workdir timeout_ms exit_code error_message created_at finished_at";

let backend: ScriptedBackend;
beforeEach(() => {
  backend = new ScriptedBackend();
});

interface Asked {
  method?: string;
  json?: unknown;
  body?: string;
  headers?: Record<string, string>;
  options?: HandlerOptions;
}

async function ask(path: string, { method, json, body, headers, options }: Asked = {}) {
  const handler = createHandler(backend, options);
  const sent = json === undefined ? body : JSON.stringify(json);
  const response = await handler(
    new Request(BASE + path, {
      method: method ?? (sent === undefined ? "GET" : "POST"),
      headers: { ...(json !== undefined && { "content-type": "application/json" }), ...headers },
      ...(sent !== undefined && { body: sent }),
    }),
  );
  const text = await response.text();
  const isJson = response.headers.get("content-type") === "application/json";
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : undefined,
  };
}

const createBox = async (name = "demo") => (await ask("/v1/boxes", { json: { image: "tiny", name } })).json;

async function startExec(box: string) {
  return (await ask(`/v1/boxes/${box}/exec`, { json: { cmd: ["echo", "hello"] } })).json;
}

describe("the API as published", () => {
  it("says what it is", async () => {
    expect((await ask("/v1/info")).json).toEqual({
      max_cpu: 4,
      max_memory_mb: 2000,
      server: expect.stringMatching(/^boxrun-ts\/\d/),
      capabilities: expect.arrayContaining(["bytes", "cursor", "stdin", "signal", "usage"]),
    });
    expect((await ask("/v1/info", { options: { extensions: false } })).json).toEqual({
      max_cpu: 4,
      max_memory_mb: 2000,
    });
  });

  it("creates a box, with all keys and the documented defaults", async () => {
    const { status, json } = await ask("/v1/boxes", { json: { image: "tiny", cpu: null } });
    expect(status).toBe(201);
    expect(Object.keys(json).join(" ")).toBe(BOX_KEYS);
    expect(json).toMatchObject({
      status: "running",
      name: null,
      cpu: 2,
      memory_mb: 1024,
      disk_size_gb: 8,
      network: false,
      workdir: "/root",
      env: null,
      volumes: null,
      created_at: "2026-01-02T03:04:05.678Z",
      stopped_at: null,
    });
  });

  it("tells our own clients more, and only them", async () => {
    await createBox();
    const { json } = await ask("/v1/boxes/demo", { headers: { "boxrun-client": "boxrun-ts/1" } });
    expect(json.local).toMatchObject({ image: "a fake" });
    expect((await ask("/v1/boxes/demo")).json.local).toBeUndefined();
  });

  it("finds boxes by id and name, lists them, stops, starts and removes them", async () => {
    const { id } = await createBox();
    expect((await ask("/v1/boxes/demo")).json.id).toBe(id);
    expect((await ask("/v1/boxes?status=stopped")).json).toEqual([]);
    expect((await ask("/v1/boxes/demo:start", { method: "POST" })).status).toBe(409);
    expect((await ask("/v1/boxes/demo:stop", { method: "POST" })).json.status).toBe("stopped");
    expect(await ask("/v1/boxes/demo:stop", { method: "POST" })).toMatchObject({
      status: 400,
      json: { code: "BOX_NOT_RUNNING" },
    });
    expect((await ask(`/v1/boxes/${id}:start`, { method: "POST" })).json.status).toBe("running");
    expect((await ask("/v1/boxes/demo", { method: "DELETE" })).json.code).toBe("BOX_ALREADY_RUNNING");
    expect((await ask("/v1/boxes/demo?force=true", { method: "DELETE" })).json).toEqual({ ok: true });
    expect(await ask("/v1/boxes/demo")).toMatchObject({ status: 404, json: { code: "BOX_NOT_FOUND" } });
  });

  it("runs commands: info, list, cancel, signal, stdin, gc", async () => {
    const { id } = await createBox();
    const started = await ask("/v1/boxes/demo/exec", { json: { cmd: ["x"], timeout_ms: 5, stdin: true } });
    expect(started.status).toBe(201);
    expect(Object.keys(started.json).join(" ")).toBe(EXEC_KEYS);
    expect(started.json).toMatchObject({ box_id: id, status: "running", cmd: ["x"], timeout_ms: 5 });
    const path = `/v1/boxes/demo/exec/${started.json.id}`;
    expect((await ask("/v1/boxes/demo/execs")).json).toHaveLength(1);
    expect((await ask(path)).json).toEqual(started.json);
    const octets = { "content-type": "application/octet-stream" };
    expect((await ask(`${path}/stdin?eof=1`, { body: "input", headers: octets })).json).toEqual({ ok: true });
    expect(new TextDecoder().decode(backend.stdin[0])).toBe("input");
    expect((await ask(`${path}:signal`, { json: { signal: "SIGINT" } })).json).toEqual({ ok: true });
    expect(backend.calls).toEqual(["createBox", "closeStdin", "SIGINT"]);
    expect((await ask(`${path}:cancel`, { method: "POST" })).json.status).toBe("canceled");
    expect((await ask(`${path}:cancel`, { method: "POST" })).json.code).toBe("EXEC_ALREADY_FINISHED");
    expect((await ask("/v1/gc", { json: { older_than: 7 } })).json).toEqual({ removed: 7 });
    expect((await ask("/v1/gc", { method: "POST" })).json).toEqual({ removed: 3600 });
  });

  it("asks its backend for one output where that can give one, and refuses it where not", async () => {
    const path = `/v1/boxes/${(await createBox()).id}/exec`;
    const started = vi.spyOn(backend, "startExec");
    const post = (stderr: unknown) => ask(path, { json: { cmd: ["true"], stderr } });
    expect(await post("stdout")).toMatchObject({ status: 501, json: { code: "UNSUPPORTED" } });
    Object.assign(backend.capabilities, { stderr: true });
    expect((await post("stdout")).status).toBe(201);
    expect(started.mock.lastCall![1]).toMatchObject({ stderr: "stdout" });
    expect((await post(null)).status).toBe(201);
    expect(started.mock.lastCall![1]).not.toHaveProperty("stderr");
    expect((await post("both")).status).toBe(422);
    const { json } = await ask("/v1/info");
    expect(json.capabilities).toContain("stderr");
  });

  it("runs a command in a box of its own and removes that", async () => {
    const { json } = await ask("/v1/run", { json: { image: "tiny", cmd: ["echo", "hello"] } });
    expect(json).toEqual({ exit_code: 0, stdout: "hello\n", stderr: "", error_message: null });
    expect(backend.boxes.size).toBe(0);
  });

  it("answers with what came of the command, though its box cannot be removed", async () => {
    backend.removeBox = () => Promise.reject(new Error("the disk is gone"));
    const { json } = await ask("/v1/run", { json: { image: "tiny", cmd: ["echo", "hello"] } });
    expect(json).toMatchObject({ exit_code: 0, stdout: "hello\n" });
  });

  it("says so when an output is more than an answer carries, and keeps the exit code", async () => {
    const log = (seq: number, stream: "stdout" | "stderr", bytes: Uint8Array) =>
      ({ type: "log", stream, bytes, seq }) as const;
    const much = new Uint8Array(2 ** 20).fill(0x61);
    backend.script = [
      log(1, "stderr", much.subarray(0, 3)),
      ...Array.from({ length: 17 }, (_, i) => log(i + 2, "stdout", much)),
      { type: "exit", exitCode: 0, seq: 19 },
    ];
    const { json } = await ask("/v1/run", { json: { image: "tiny", cmd: ["yes"] } });
    expect(json).toMatchObject({
      exit_code: 0,
      stderr: "aaa",
      error_message: expect.stringMatching(/^stdout was truncated.*16777216/),
    });
    expect(json.stdout).toHaveLength(2 ** 24);
  });

  it("names the routes it has not: attach, extensions that are off, unknown paths, methods and actions", async () => {
    await createBox();
    const { id } = await startExec("demo");
    expect(await ask("/v1/boxes/demo/attach")).toMatchObject({
      status: 426,
      json: { code: "VALIDATION_ERROR" },
    });
    const off = { options: { extensions: false } };
    expect(
      (await ask(`/v1/boxes/demo/exec/${id}:signal`, { json: { signal: "SIGINT" }, ...off })).status,
    ).toBe(404);
    expect(await ask("/v2/boxes")).toMatchObject({ status: 404, json: { message: expect.any(String) } });
    const wrong = await ask("/v1/boxes", { method: "PUT" });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("allow")).toBe("POST, GET");
    expect((await ask("/v1/boxes/demo", { method: "POST" })).json.message).toMatch(/^Missing action/);
    expect((await ask("/v1/boxes/demo:fly", { method: "POST" })).json).toEqual({
      code: "VALIDATION_ERROR",
      message: "Unknown action: fly",
    });
    expect((await ask(`/v1/boxes/demo/exec/${id}:fly`, { method: "POST" })).status).toBe(400);
  });
});

describe("bad input", () => {
  it.each([
    ["malformed JSON", { body: "{", headers: { "content-type": "application/json" } }, 400, /JSON/],
    [
      "another content type",
      { body: "{}", headers: { "content-type": "text/plain" } },
      415,
      /application\/json/,
    ],
    [
      "no content type",
      { body: '{"image":"tiny"}', headers: { "content-type": "" } },
      415,
      /application\/json/,
    ],
    ["a missing field", { json: {} }, 422, /^image is missing/],
    ["a number below 1", { json: { image: "x", memory_mb: 0 } }, 422, /^memory_mb must be greater than 0/],
    ["a wrong type", { json: { image: "x", disk_size_gb: "8" } }, 422, /^disk_size_gb /],
    [
      "a relative workdir",
      { json: { image: "x", workdir: "root" } },
      422,
      /^workdir must be an absolute path/,
    ],
    ["a name like an id", { json: { image: "x", name: "box_000000000000" } }, 422, /^name /],
    ["a body that is no object", { json: [] }, 422, /object/],
    [
      "a misspelt field",
      { json: { image: "x", memory_MB: 512 } },
      422,
      /^unknown field memory_MB: did you mean memory_mb\?$/,
    ],
    ["a field of the SDK", { json: { image: "x", diskSizeGb: 1 } }, 422, /did you mean disk_size_gb/],
  ] as [string, Asked, number, RegExp][])("to create: %s", async (_, asked, status, message) => {
    const answer = await ask("/v1/boxes", asked);
    expect(answer.status).toBe(status);
    expect(answer.json.code).toBe("VALIDATION_ERROR");
    expect(answer.json.message).toMatch(message);
    expect(backend.boxes.size).toBe(0);
  });

  it("never to fields that a later client may send", async () => {
    const answer = await ask("/v1/boxes", { json: { image: "tiny", ports: [8080], auto_remove: true } });
    expect(answer.status).toBe(201);
  });

  it("to exec: an empty command, a time limit of 0", async () => {
    await createBox();
    const path = "/v1/boxes/demo/exec";
    expect(await ask(path, { json: { cmd: [] } })).toMatchObject({ status: 422, json: { message: /./ } });
    expect((await ask(path, { json: { cmd: ["x"], timeout_ms: 0 } })).json.message).toMatch(/^timeout_ms/);
  });

  it("that is too large is refused, with its length said or not", async () => {
    const options = { maxBodyBytes: 100 };
    const json = { image: "tiny", name: "a".repeat(200) };
    expect((await ask("/v1/boxes", { json, options })).status).toBe(413);
    const stream = new ReadableStream({
      pull: (controller) => controller.enqueue(new TextEncoder().encode(" ".repeat(50))),
    });
    const request = new Request(`${BASE}/v1/boxes`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: stream,
      duplex: "half",
    } as RequestInit);
    const response = await createHandler(backend, options)(request);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("of a kind nobody thought of says nothing of the inside", async () => {
    backend.info = async () => {
      throw new Error("secret path /home/me");
    };
    const answer = await ask("/v1/info");
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain("secret");
  });
});

describe("strangers", () => {
  const loopback = { hosts: ["localhost", "127.0.0.1"] };
  it.each([
    ["a foreign origin", { origin: "https://evil.example" }, {}, 403],
    ["an opaque origin", { origin: "null" }, {}, 403],
    ["another port of this host", { origin: "http://127.0.0.1:8080" }, {}, 403],
    ["a page elsewhere that sends no origin", { "sec-fetch-site": "cross-site" }, {}, 403],
    ["the same origin", { origin: BASE }, {}, 200],
    ["an allowed origin", { origin: "https://ok.example" }, { allowOrigins: ["https://ok.example"] }, 200],
    ["a name that is not ours", { host: "evil.example" }, loopback, 403],
    ["a name of ours", { host: "localhost:1234" }, loopback, 200],
    ["no token", {}, { token: "t0ken" }, 401],
    ["a wrong token", { authorization: "Bearer t0kem" }, { token: "t0ken" }, 401],
    ["the token", { authorization: "Bearer t0ken" }, { token: "t0ken" }, 200],
  ] as [string, Record<string, string>, HandlerOptions, number][])(
    "%s",
    async (_, headers, options, status) => {
      for (const [method, path] of [
        ["GET", "/v1/boxes"],
        ["POST", "/v1/gc"],
      ] as const) {
        const request = { method, url: BASE + path, headers: new Headers(headers) };
        // A Request cannot carry every header that a server gets: this stands for one that came over HTTP.
        const made = Object.assign(new Request(request.url, { method }), {});
        Object.defineProperty(made, "headers", { value: request.headers });
        const response = await createHandler(backend, options)(made);
        expect(response.status).toBe(status);
        if (status === 401)
          expect(await response.json()).toMatchObject({
            message: headers["authorization"] ? "wrong token" : "a bearer token is required",
          });
      }
    },
  );

  it("get CORS headers only when they are allowed, and an answer to their preflight", async () => {
    const options = { allowOrigins: ["https://ok.example"], token: "t" };
    const asking = {
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type",
    };
    const yes = await ask("/v1/boxes", {
      method: "OPTIONS",
      headers: { origin: "https://ok.example", ...asking },
      options,
    });
    expect(yes.status).toBe(204);
    expect(yes.headers.get("access-control-allow-origin")).toBe("https://ok.example");
    const no = await ask("/v1/boxes", {
      method: "OPTIONS",
      headers: { origin: "https://no.example", ...asking },
      options,
    });
    expect(no.status).toBe(403);
    expect(no.headers.get("access-control-allow-origin")).toBeNull();
  });
});

it.each([
  [{ token: "" }, /token must be/],
  [{ token: "two words" }, /token must be/],
  [{ ports: 1 }, /^unknown option ports( |$)/],
] as [HandlerOptions, RegExp][])("refuses %j by name, without its value", async (options, why) => {
  expect(() => createHandler(backend, options)).toThrow(
    expect.objectContaining({ code: "VALIDATION_ERROR", message: expect.stringMatching(why) }),
  );
  for (const where of [{ port: 0 }, { socketPath: "/nowhere/at/all" }]) {
    await expect(serve(backend, { ...where, ...options })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.not.stringContaining("two words"),
    });
  }
});

it.each([[{}], [null], [undefined], ["tiny"]])("refuses %j as a backend", (nothing) => {
  expect(() => createHandler(nothing as never)).toThrow(/must be a backend/);
});
