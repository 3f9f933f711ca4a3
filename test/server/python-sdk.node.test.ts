import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServe } from "../testing/contract/serve.js";
import { type Answer, PythonClient } from "./python-client.js";

const folder = mkdtempSync(join(tmpdir(), "boxrun-python-"));
const socketPath = join(folder, "boxrun.sock");
let server: Awaited<ReturnType<typeof startServe>>;
beforeAll(async () => {
  server = await startServe("--socket", socketPath);
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const BOX_KEYS = [
  ...[
    "id",
    "name",
    "status",
    "image",
    "cpu",
    "memory_mb",
    "disk_size_gb",
    "network",
    "workdir",
    "env",
    "volumes",
  ],
  ...["boxlite_id", "error_code", "error_message", "created_at", "started_at", "stopped_at"],
];
const EXEC_KEYS = [
  ...["id", "box_id", "status", "cmd", "env", "workdir", "timeout_ms", "exit_code", "error_message"],
  ...["created_at", "finished_at"],
];
/** What the SDK sends for a box of which only the image was asked for. */
const DEFAULTS = { cpu: 2, memory_mb: 1024, disk_size_gb: 8, network: false, workdir: "/root" };
const SMALL = { ...DEFAULTS, image: "tiny", memory_mb: 256 };

const isTime = (value: unknown) => typeof value === "string" && !Number.isNaN(Date.parse(value));

/** What the Python SDK and the compatibility test of the published server do, call by call, in this order. */
describe.each([
  ["TCP", () => ({ baseUrl: server.baseUrl })],
  ["a Unix socket", () => ({ socketPath })],
])("the calls of the Python SDK, over %s", (_, address) => {
  let client: PythonClient;
  let box: string;
  beforeAll(() => {
    client = new PythonClient(address());
  });

  const error = (answer: Answer) => [answer.status, answer.json?.code, typeof answer.json?.message];
  /** A command, asked for until it has ended. */
  const run = async (body: object) => {
    const begun = await client.post(`/v1/boxes/${box}/exec`, body);
    expect(begun.status).toBe(201);
    let info = begun.json;
    while (info.status === "running") info = (await client.get(`/v1/boxes/${box}/exec/${info.id}`)).json;
    return info;
  };

  it("tell what the server has", async () => {
    const { status, json } = await client.get("/v1/info");
    expect(status).toBe(200);
    expect(json.max_cpu).toBeGreaterThan(0);
    expect(json.max_memory_mb).toBeGreaterThan(0);
  });

  it("create a box: every key, as it was asked for", async () => {
    const { status, json } = await client.post("/v1/boxes", { image: "python", name: "compat", ...DEFAULTS });
    expect(status).toBe(201);
    expect(Object.keys(json).sort()).toEqual([...BOX_KEYS].sort());
    expect(json).toMatchObject({
      ...DEFAULTS,
      name: "compat",
      status: "running",
      env: null,
      volumes: null,
      error_code: null,
      error_message: null,
      stopped_at: null,
    });
    expect(json.id).toMatch(/^box_[0-9A-Za-z]{12}$/);
    expect(json.image).toContain("python");
    expect([json.created_at, json.started_at].map(isTime)).toEqual([true, true]);
    box = json.id;
  });

  it("get it by its id and by its name", async () => {
    for (const name of [box, "compat"]) {
      const { status, json } = await client.get(`/v1/boxes/${name}`);
      expect([status, json.id, Object.keys(json).length]).toEqual([200, box, BOX_KEYS.length]);
    }
  });

  it("list boxes: newest first, all of them or those of a status", async () => {
    const { json: second } = await client.post("/v1/boxes", SMALL);
    await client.post(`/v1/boxes/${second.id}:stop`);
    const list = async (query = "") => {
      const { status, json } = await client.get(`/v1/boxes${query}`);
      expect(status).toBe(200);
      return json.map(({ id }: { id: string }) => id);
    };
    expect(await list()).toEqual([second.id, box]);
    expect(await list("?status=all")).toEqual([second.id, box]);
    expect(await list("?status=running")).toEqual([box]);
    expect(await list("?status=stopped")).toEqual([second.id]);
    await client.delete(`/v1/boxes/${second.id}`);
    expect(await list()).toEqual([box]);
  });

  it("run a command and ask for its end", async () => {
    const begun = await client.post(`/v1/boxes/${box}/exec`, { cmd: ["sleep", "0.5"] });
    expect(begun.json).toMatchObject({ status: "running", exit_code: null, finished_at: null });
    expect(Object.keys(begun.json).sort()).toEqual([...EXEC_KEYS].sort());
    const info = await run({ cmd: ["echo", "hello world"] });
    expect(Object.keys(info).sort()).toEqual([...EXEC_KEYS].sort());
    expect(info).toMatchObject({
      box_id: box,
      status: "succeeded",
      exit_code: 0,
      cmd: ["echo", "hello world"],
      error_message: null,
    });
    expect(info.id).toMatch(/^exec_[0-9A-Za-z]{12}$/);
    expect([info.created_at, info.finished_at].map(isTime)).toEqual([true, true]);
  });

  it("tell an exit code, an environment, a workdir and a time limit", async () => {
    expect(await run({ cmd: ["sh", "-c", "exit 42"] })).toMatchObject({ status: "failed", exit_code: 42 });
    const named = { cmd: ["sh", "-c", '[ "$MY_VAR" = test123 ]'], env: { MY_VAR: "test123" } };
    expect(await run(named)).toMatchObject({ exit_code: 0, env: named.env });
    expect(await run({ cmd: ["sh", "-c", '[ "$PWD" = /etc ]'], workdir: "/etc" })).toMatchObject({
      exit_code: 0,
    });
    expect(await run({ cmd: ["sleep", "60"], timeout_ms: 200 })).toMatchObject({
      status: "timeout",
      exit_code: null,
      timeout_ms: 200,
      error_message: "timed out after 200 ms",
    });
  });

  it("stream a command's events, and the same ones again", async () => {
    const { json } = await client.post(`/v1/boxes/${box}/exec`, { cmd: ["sh", "-c", "echo out; exit 3"] });
    const path = `/v1/boxes/${box}/exec/${json.id}/events`;
    const events = await client.events(path);
    expect(events).toEqual([
      { event: "log", data: { stream: "stdout", data: "out\n", seq: 1 } },
      { event: "exit", data: { stream: null, data: expect.any(String), seq: 2 } },
    ]);
    expect(JSON.parse(events[1]!.data.data)).toEqual({ exit_code: 3 });
    expect(await client.events(path)).toEqual(events);
  });

  it("list and get executions: newest first, every key", async () => {
    const { id } = await run({ cmd: ["true"] });
    const { status, json } = await client.get(`/v1/boxes/${box}/execs`);
    expect([status, json[0].id, json.length > 5]).toEqual([200, id, true]);
    const times = json.map(({ created_at }: { created_at: string }) => created_at);
    expect(times).toEqual([...times].sort().reverse());
    for (const info of json) expect(Object.keys(info).sort()).toEqual([...EXEC_KEYS].sort());
    expect((await client.get(`/v1/boxes/${box}/exec/${id}`)).json).toEqual(json[0]);
    expect(error(await client.get(`/v1/boxes/${box}/exec/exec_000000000000`))).toEqual([
      404,
      "EXEC_NOT_FOUND",
      "string",
    ]);
  });

  it("cancel a command once", async () => {
    const { json } = await client.post(`/v1/boxes/${box}/exec`, { cmd: ["sleep", "60"] });
    const path = `/v1/boxes/${box}/exec/${json.id}:cancel`;
    const canceled = await client.post(path);
    expect([canceled.status, canceled.json.status, canceled.json.exit_code]).toEqual([200, "canceled", null]);
    expect(error(await client.post(path))).toEqual([400, "EXEC_ALREADY_FINISHED", "string"]);
  });

  it("upload a file and download it", async () => {
    const file = { name: "compat.txt", bytes: "compat test content\n" };
    const up = await client.form(`/v1/boxes/${box}/files/upload`, { dest: "/root/compat.txt" }, file);
    expect([up.status, up.json]).toEqual([200, { ok: true, dest: "/root/compat.txt" }]);
    expect(await run({ cmd: ["cat", "/root/compat.txt"] })).toMatchObject({ exit_code: 0 });
    const down = await client.post(`/v1/boxes/${box}/files/download`, { path: "/root/compat.txt" });
    expect([down.status, down.text]).toEqual([200, file.bytes]);
    expect(down.headers["content-type"]).toBe("application/octet-stream");
    expect(down.headers["content-disposition"]).toMatch(/^attachment; filename="compat.txt"/);
    const none = await client.post(`/v1/boxes/${box}/files/download`, { path: "/root/none" });
    expect(error(none)).toEqual([400, "RUNTIME_ERROR", "string"]);
  });

  it("upload no form without its fields, nor one with the old SDK's", async () => {
    const path = `/v1/boxes/${box}/files/upload`;
    const file = { name: "f", bytes: "x" };
    for (const answer of [
      await client.form(path, { dest: "/root/f" }),
      await client.form(path, {}, file),
      await client.form(path, { path: "/root/f" }, file),
    ])
      expect(error(answer)).toEqual([400, "VALIDATION_ERROR", "string"]);
  });

  it("attach a terminal", async () => {
    const { socket, close } = client.attach(
      `/v1/boxes/${box}/attach?shell=/bin/sh&cols=80&rows=24&term=xterm`,
    );
    let shown = "";
    const told: unknown[] = [];
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") told.push(JSON.parse(data));
      else shown += Buffer.from(data as ArrayBuffer).toString();
    });
    const closed = once(socket, "close");
    await once(socket, "open");
    socket.send(JSON.stringify({ type: "resize", cols: 120, rows: 40 }));
    await expect.poll(() => shown, { timeout: 30_000 }).toMatch(/[$#] $/);
    socket.send(Buffer.from("stty size; exit 7\n"));
    await closed;
    expect(shown).toContain("40 120");
    expect(told).toEqual([{ type: "exit", code: 7 }]);
    await close();
  });

  it("stop a box and start it, each once", async () => {
    const stopped = await client.post(`/v1/boxes/${box}:stop`);
    expect([stopped.status, stopped.json.status, isTime(stopped.json.stopped_at)]).toEqual([
      200,
      "stopped",
      true,
    ]);
    expect(error(await client.post(`/v1/boxes/${box}:stop`))).toEqual([400, "BOX_NOT_RUNNING", "string"]);
    const refused = await client.post(`/v1/boxes/${box}/exec`, { cmd: ["true"] });
    expect(error(refused)).toEqual([400, "BOX_NOT_RUNNING", "string"]);
    const started = await client.post(`/v1/boxes/${box}:start`);
    expect([started.status, started.json.status, started.json.stopped_at]).toEqual([200, "running", null]);
    expect(error(await client.post(`/v1/boxes/${box}:start`))).toEqual([
      409,
      "BOX_ALREADY_RUNNING",
      "string",
    ]);
    expect(await run({ cmd: ["cat", "/root/compat.txt"] })).toMatchObject({ exit_code: 0 });
  });

  it("remove a running box by force only", async () => {
    expect(error(await client.delete(`/v1/boxes/${box}`))).toEqual([409, "BOX_ALREADY_RUNNING", "string"]);
    const removed = await client.delete(`/v1/boxes/${box}?force=true`);
    expect([removed.status, removed.json]).toEqual([200, { ok: true }]);
    expect(error(await client.get(`/v1/boxes/${box}`))).toEqual([404, "BOX_NOT_FOUND", "string"]);
  });

  it.each([
    ["a box that is not there", "/v1/boxes/nonexistent_box_id", undefined, 404, "BOX_NOT_FOUND"],
    ["the stop of one", "/v1/boxes/nonexistent:stop", undefined, 404, "BOX_NOT_FOUND"],
    ["a box without processors", "/v1/boxes", { image: "python", cpu: -1 }, 422, "VALIDATION_ERROR"],
    ["a box without memory", "/v1/boxes", { image: "python", memory_mb: 0 }, 422, "VALIDATION_ERROR"],
    ["a box without a disk", "/v1/boxes", { image: "python", disk_size_gb: 0 }, 422, "VALIDATION_ERROR"],
    ["a relative workdir", "/v1/boxes", { image: "python", workdir: "root" }, 422, "VALIDATION_ERROR"],
    ["a box without an image", "/v1/boxes", {}, 422, "VALIDATION_ERROR"],
    ["a run of nothing", "/v1/run", { image: "python", cmd: [] }, 422, "VALIDATION_ERROR"],
    [
      "a run without time",
      "/v1/run",
      { image: "python", cmd: ["true"], timeout_ms: 0 },
      422,
      "VALIDATION_ERROR",
    ],
    ["an action that there is not", "/v1/boxes/box_000000000000:pause", undefined, 400, "VALIDATION_ERROR"],
    ["no action", "/v1/boxes/box_000000000000", undefined, 400, "VALIDATION_ERROR"],
  ])("are refused %s", async (_what, path, body, status, code) => {
    const isGet = path.endsWith("box_id");
    const answer = await (isGet ? client.get(path) : client.post(path, body));
    expect(error(answer)).toEqual([status, code, "string"]);
    expect(answer.json.message).not.toBe("");
  });

  it("create no two boxes of a name", async () => {
    const { json } = await client.post("/v1/boxes", { ...SMALL, name: "dup" });
    const again = await client.post("/v1/boxes", { ...SMALL, name: "dup" });
    expect(error(again)).toEqual([409, "NAME_ALREADY_EXISTS", "string"]);
    await client.delete(`/v1/boxes/${json.id}?force=true`);
  });

  it("run a command in a box of its own", async () => {
    const body = { image: "tiny", disk_size_gb: 8 };
    const first = await client.post("/v1/run", { ...body, cmd: ["echo", "ephemeral test"] });
    expect([first.status, first.json]).toEqual([
      200,
      { exit_code: 0, stdout: "ephemeral test\n", stderr: "", error_message: null },
    ]);
    const second = await client.post("/v1/run", { ...body, cmd: ["sh", "-c", "echo err >&2; exit 7"] });
    expect(second.json).toEqual({ exit_code: 7, stdout: "", stderr: "err\n", error_message: null });
    expect((await client.get("/v1/boxes")).json).toEqual([]);
  });

  it("clear away what has been stopped for long", async () => {
    const { json } = await client.post("/v1/boxes", SMALL);
    await client.post(`/v1/boxes/${json.id}:stop`);
    const gc = async (seconds: number) => (await client.post("/v1/gc", { older_than: seconds })).json;
    expect(await gc(999_999)).toEqual({ removed: 0 });
    expect(await gc(0)).toEqual({ removed: 1 });
  });

  it("mount a directory of this machine, if it was allowed, and are refused any other", async () => {
    const mount = (host_path: string) =>
      client.post("/v1/boxes", {
        ...SMALL,
        volumes: [{ host_path, guest_path: "/mnt/data", readonly: false }],
      });
    expect(error(await mount("/etc"))).toEqual([400, "VALIDATION_ERROR", "string"]);
    const { json } = await mount(server.shared);
    expect(json.volumes).toEqual([{ host_path: server.shared, guest_path: "/mnt/data", readonly: false }]);
    const cmd = ["sh", "-c", "echo hello > /mnt/data/file"];
    const run = await client.post(`/v1/boxes/${json.id}/exec`, { cmd });
    expect(run.status).toBe(201);
    await client.delete(`/v1/boxes/${json.id}?force=true`);
  });

  describe("that are not supported yet", () => {
    it("are refused as such: a network", async () => {
      const body = { ...SMALL, network: true };
      expect(error(await client.post("/v1/boxes", body))).toEqual([501, "UNSUPPORTED", "string"]);
    });

    it.each(["/", "/ui"])("are not there: the dashboard at %s", async (path) => {
      expect((await client.get(path)).status).toBe(404);
    });
  });
});
