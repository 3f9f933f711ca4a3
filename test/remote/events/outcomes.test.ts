import { describe, expect, it } from "vitest";
import { BoxRunClient } from "../../../src/index.js";
import { failure } from "../../../src/testing/contract/tools.js";
import { BOX, EXEC, follow, isEvents, json, log, OURS, PLAIN, serve, sse } from "../servers.js";

const STOPPED = { ...BOX, status: "stopped", stopped_at: "2026-01-01T00:00:02Z" };
const SINCE = { ...BOX, started_at: "2026-01-01T01:00:00Z" };
/** An execution that ended two seconds after it began. */
const FAILED = { ...EXEC, status: "failed", finished_at: "2026-01-01T00:00:02Z" };

/** A server whose one command prints, and ends as `exit` and the execution's state say. */
async function ending(exit: object, state: object, box: object = BOX) {
  const { backend } = await serve(PLAIN, (request, response) => {
    const data = JSON.stringify({ stream: null, data: JSON.stringify(exit), seq: 1 });
    if (isEvents(request)) return void sse(response).end(`${log(0, "out")}event: exit\ndata: ${data}\n\n`);
    if (request.path.endsWith("/execs")) return json(response, [state]);
    if (request.method === "POST") return json(response, EXEC, 201);
    json(response, request.path.includes("/exec/") ? state : box);
  });
  return { backend, handle: await new BoxRunClient({ backend }).getBox(BOX.id) };
}

describe("an exit code", () => {
  it.each<[string, number, { timeout_ms?: number; error_message?: string }, number]>([
    ["of a signal", -15, {}, 143],
    ["of a signal before the time limit", -15, { timeout_ms: 60_000 }, 143],
    ["of a signal that is no time limit's", -11, { timeout_ms: 1000 }, 139],
    ["of a signal with a reason", -9, { timeout_ms: 1000, error_message: "out of memory" }, 137],
    ["of SIGHUP in a box that runs", -1, {}, 129],
    ["with a reason", 137, { error_message: "out of memory" }, 137],
  ])("%s is 128 + signal, or itself, by every way to ask: %i", async (_, code, more, exitCode) => {
    const state = { ...FAILED, exit_code: code, ...more };
    const error = state.error_message;
    const { backend, handle } = await ending({ exit_code: code, ...(error && { error }) }, state);
    const ended = { status: "failed", exitCode, errorMessage: error ?? null };
    expect(await follow(backend)).toEqual(["stdout 1 out", `exit 2 ${exitCode}`]);
    expect(await backend.waitExec(BOX.id, EXEC.id, {})).toMatchObject(ended);
    expect(await backend.getExec(BOX.id, EXEC.id)).toMatchObject(ended);
    expect(await handle.executions()).toMatchObject([ended]);
    expect(await handle.exec("x")).toMatchObject({ ...ended, stdout: "out" });
  });

  it.each([-14, -15, -9])("after the time limit is a time-out, by every way to ask: %i", async (code) => {
    const state = { ...FAILED, exit_code: code, timeout_ms: 2000 };
    const { backend, handle } = await ending({ exit_code: code }, state);
    const ended = { status: "timeout", exitCode: null, errorMessage: "timed out after 2000 ms" };
    expect(await follow(backend)).toEqual(["stdout 1 out", "exit 2 null"]);
    expect(await backend.waitExec(BOX.id, EXEC.id, {})).toMatchObject(ended);
    expect(await handle.executions()).toMatchObject([ended]);
    expect(await failure(handle.exec("x"))).toMatchObject({
      code: "TIMEOUT",
      result: { ...ended, stdout: "out" },
    });
  });

  it.each<[string, { exit_code: number | null; error_message?: string }, object, string, RegExp]>([
    ["of a box that is stopped", { exit_code: -1 }, STOPPED, "BOX_NOT_RUNNING", /the box ended.*stopped/],
    [
      "of a box that was started again since",
      { exit_code: -1, error_message: "no connection" },
      SINCE,
      "BOX_NOT_RUNNING",
      /the box ended.*no connection.*restarted/,
    ],
    [
      "of a box that runs, with a reason",
      { exit_code: -1, error_message: "no connection" },
      BOX,
      "RUNTIME_ERROR",
      /no connection/,
    ],
    [
      "of success, with a reason",
      { exit_code: 0, error_message: "lost it" },
      BOX,
      "RUNTIME_ERROR",
      /lost it/,
    ],
    [
      "that is none, without a reason",
      { exit_code: null },
      BOX,
      "STREAM_INTERRUPTED",
      /not know how it ended/,
    ],
    [
      "that is none, with a reason",
      { exit_code: null, error_message: "lost it" },
      BOX,
      "RUNTIME_ERROR",
      /lost/,
    ],
  ])("%s is an error, by every way to wait", async (_, state, box, code, message) => {
    const exit = { exit_code: state.exit_code, ...(state.error_message && { error: state.error_message }) };
    const { backend, handle } = await ending(exit, { ...FAILED, ...state }, box);
    const errors = [await failure(follow(backend)), await failure(handle.exec("x"))];
    errors.push(await failure(backend.waitExec(BOX.id, EXEC.id, {})));
    for (const error of errors) {
      expect(error).toMatchObject({ code });
      expect(error.message).toMatch(message);
    }
    const info = await backend.getExec(BOX.id, EXEC.id);
    const isTold = state.error_message !== undefined || code === "BOX_NOT_RUNNING";
    expect(info).toMatchObject({
      exitCode: null,
      errorMessage: isTold ? expect.stringMatching(/the box ended|lost|no conn/) : null,
    });
  });

  it("that is none is told in the words of the stream, where the state has none", async () => {
    const { backend } = await ending({ error: "in words" }, FAILED);
    expect(await failure(follow(backend))).toMatchObject({
      code: "RUNTIME_ERROR",
      message: expect.stringContaining("in words"),
    });
  });

  it.each([256, 1000, -65, -99_900, 1.5, -0.5, 2 ** 60])(
    "that Linux does not have is refused, by every way to ask: %d",
    async (code) => {
      const { backend, handle } = await ending({ exit_code: code }, { ...FAILED, exit_code: code });
      const { backend: told } = await ending({ exit_code: code }, { ...FAILED, exit_code: 3 });
      const errors = [
        await failure(follow(told)),
        await failure(backend.waitExec(BOX.id, EXEC.id, {})),
        await failure(backend.getExec(BOX.id, EXEC.id)),
        await failure(handle.executions()),
        await failure(handle.exec("x")),
      ];
      for (const error of errors) expect(error).toMatchObject({ code: "PROTOCOL_ERROR" });
      expect(errors[1]?.message).toContain("must be an exit code from -64 to 255");
    },
  );

  it.each([
    [-64, 192],
    [255, 255],
  ])("is the last of its kind: %i", async (code, exitCode) => {
    const { backend } = await ending({ exit_code: code }, { ...FAILED, exit_code: code });
    expect(await follow(backend)).toEqual(["stdout 1 out", `exit 2 ${exitCode}`]);
    expect(await backend.waitExec(BOX.id, EXEC.id, {})).toMatchObject({ exitCode });
  });

  it.each([
    [{ exit_code: -15 }, "exit 2 143"],
    [{ exit_code: 3, error: "in words" }, "exit 2 3"],
  ])("is believed when the state never comes: %j", async (exit, last) => {
    const { backend } = await ending(exit, EXEC);
    expect(await follow(backend)).toEqual(["stdout 1 out", last]);
  });

  it.each([
    [{ exit_code: null, error: "in words" }, EXEC],
    [{ error: "in words" }, EXEC],
    [{ exit_code: 0, error: "in words" }, EXEC],
    [
      { exit_code: 0, error: "in words" },
      { ...FAILED, status: "succeeded", exit_code: 0 },
    ],
  ])("is no success when the exit says why: %j", async (exit, state) => {
    const { backend } = await ending(exit, state);
    const error = await failure(follow(backend));
    expect(error).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(error.message).toContain("in words");
  });
});

describe("a command that a server could not start", () => {
  const refusing = (message: string, box: object = BOX, info: object = PLAIN) =>
    serve(info, (request, response) =>
      request.method === "POST"
        ? json(response, { code: "RUNTIME_ERROR", message }, 400)
        : json(response, request.path.endsWith("/execs") ? [] : box),
    );

  it.each([
    ["Failed to start execution: no such file", 127, "x: no such file\n"],
    ["Failed to start execution", 127, "x: could not be started\n"],
    [
      "Failed to start execution: spawn: Permission denied (os error 13)",
      126,
      "x: spawn: Permission denied (os error 13)\n",
    ],
    ["Failed to start execution: spawn: ENOENT", 127, "x: spawn: ENOENT\n"],
    ["Failed to start execution: (os error 2)", 127, "x: (os error 2)\n"],
  ])("has ended: %j", async (message, exitCode, stderr) => {
    const { backend } = await refusing(message);
    const box = await new BoxRunClient({ backend }).getBox(BOX.id);
    expect(await box.exec(["x"])).toMatchObject({ status: "failed", exitCode, stderr, stdout: "" });
    expect(await box.executions()).toMatchObject([{ cmd: ["x"], exitCode }]);
  });

  it.each([
    ["the box has stopped", "Failed to start execution: no transport", STOPPED, PLAIN, "BOX_NOT_RUNNING"],
    ["the reason is another", "the disk is full", BOX, PLAIN, "RUNTIME_ERROR"],
    ["the server is ours", "Failed to start execution", BOX, OURS, "RUNTIME_ERROR"],
    ["there is no transport", "Failed to start execution: no transport", BOX, PLAIN, "RUNTIME_ERROR"],
    [
      "too many files are open",
      "Failed to start execution: too many open files (os error 24)",
      BOX,
      PLAIN,
      "RUNTIME_ERROR",
    ],
    [
      "there is too little of something",
      "Failed to start execution: resource temporarily unavailable",
      BOX,
      PLAIN,
      "RUNTIME_ERROR",
    ],
  ])("is an error when %s", async (_, message, info, server, code) => {
    const { backend } = await refusing(message, info, server);
    const box = await new BoxRunClient({ backend }).getBox(BOX.id);
    const error = await failure(box.exec(["x"]));
    expect(error).toMatchObject({ code });
    if (code === "RUNTIME_ERROR") expect(error.message).toContain(message);
    expect(await box.executions()).toEqual([]);
  });
});

it("a start that failed is the one that the server keeps as begun, whatever its clock says", async () => {
  const row = (id: string, more: object) => ({ ...EXEC, id, cmd: ["x"], ...more });
  const kept = [
    row("exec_ofanotherenv", { env: { A: "1" } }),
    row("exec_kept", { workdir: "/root" }),
    row("exec_before", { created_at: "2025-01-01T00:00:00Z" }),
    row("exec_ended", { ...FAILED, id: "exec_ended", cmd: ["x"], exit_code: 3 }),
  ];
  const { backend } = await serve(PLAIN, (request, response) => {
    const refusal = { code: "RUNTIME_ERROR", message: "Failed to start execution: no such file" };
    if (request.method === "POST") return json(response, refusal, 400);
    json(response, request.path.endsWith("/execs") ? kept : BOX);
  });
  const spec = { cmd: ["x"], env: null, workdir: null, timeoutMs: null, stdin: false };
  const { id } = await backend.startExec(BOX.id, spec);
  expect(id).toBe("exec_kept");
  const listed = await backend.listExecs(BOX.id);
  expect(listed.map(({ id, status }) => `${id} ${status}`).sort()).toEqual([
    "exec_before running",
    "exec_ended failed",
    "exec_kept failed",
    "exec_ofanotherenv running",
  ]);
  expect(await backend.waitExec(BOX.id, id, {})).toMatchObject({ status: "failed", exitCode: 127 });
});

describe("the lists of a server", () => {
  it("are put in order: newest first, then by id", async () => {
    const at = (id: string, second: number) => ({ id, created_at: `2026-01-01T00:00:0${second}Z` });
    const made = [at("b", 1), at("c", 2), at("a", 1), at("d", 0)];
    const { backend } = await serve(PLAIN, (request, response) =>
      json(
        response,
        made.map((item) => ({ ...(request.path.endsWith("/execs") ? EXEC : BOX), ...item })),
      ),
    );
    const client = new BoxRunClient({ backend });
    const ids = (items: { id: string }[]) => items.map(({ id }) => id);
    expect(ids(await client.listBoxes())).toEqual(["c", "a", "b", "d"]);
    expect(ids(await client.listBoxes({ status: "all" }))).toEqual(["c", "a", "b", "d"]);
    expect(ids(await client.listBoxes({ status: "stopped" }))).toEqual([]);
    expect(ids(await backend.listExecs(BOX.id))).toEqual(["c", "a", "b", "d"]);
  });
});
