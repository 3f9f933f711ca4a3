import { describe, expect, it, vi } from "vitest";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

async function fakeBox() {
  const backend = new FakeBackend({ programs: { x: () => {} } });
  const started = vi.spyOn(backend, "startExec");
  const created = vi.spyOn(backend, "createBox");
  const client = new BoxRunClient({ backend });
  const box = await client.create("fake");
  return { client, box, started, created };
}

describe("a command", () => {
  it("is a program with an array of its arguments, with options or without", async () => {
    const { client, box, started } = await fakeBox();
    await box.exec("x", []);
    await box.exec("x", ["-a", "b c"], { env: { A: "1" } });
    await box.execStream("x", ["-a"], { timeoutMs: 5 });
    await box.spawn("x", ["-b"]);
    await client.run("fake", "x", ["-c"], { check: true, memoryMb: 256 });
    const specs = started.mock.calls.map(([, { cmd, env, timeoutMs }]) => [cmd, env, timeoutMs]);
    expect(specs).toEqual([
      [["x"], null, null],
      [["x", "-a", "b c"], { A: "1" }, null],
      [["x", "-a"], null, 5],
      [["x", "-b"], null, null],
      [["x", "-c"], null, null],
    ]);
  });

  it.each<[string, unknown[], string]>([
    ["arguments after argv", [["x"], ["-a"]], "a program with arguments must be a string"],
    ["options after options", ["x", {}, {}], "arguments must be an array"],
    ["no arguments before options", ["x", undefined, {}], "arguments must be an array"],
    ["a word in place of an array", ["x", "-a"], "options must be an object"],
    ["null", ["x", null], "options must be an object"],
    [
      "a signal in place of options",
      ["x", ["-a"], new AbortController().signal],
      "options must be an object",
    ],
    ["an argument that is no string", ["x", [1]], "cmd[1] must be a string, got number"],
    ["an empty program", ["", ["-a"]], "cmd must begin with a program name"],
  ])("is refused with %s, before anything happens", async (_what, args, message) => {
    const { client, box, started } = await fakeBox();
    const calls = [
      box.exec(...(args as [string])),
      box.execStream(...(args as [string])),
      client.run("fake", ...(args as [string])),
    ];
    for (const call of calls)
      expect(await failure(call)).toMatchObject({
        code: "VALIDATION_ERROR",
        message: expect.stringContaining(message),
      });
    expect(started).not.toHaveBeenCalled();
  });
});

describe("the directory of a command", () => {
  it("may be called cwd", async () => {
    const { client, box, started, created } = await fakeBox();
    await box.exec("x", { cwd: "/etc" });
    await box.execStream("x", [], { cwd: "/tmp", ...({ workdir: undefined } as object) });
    await client.run("fake", "x", [], { cwd: "/srv" });
    expect(started.mock.calls.map(([, { workdir }]) => workdir)).toEqual(["/etc", "/tmp", null]);
    expect(created.mock.calls.at(-1)![0]).toMatchObject({ workdir: "/srv" });
  });

  it.each([
    [{ cwd: "/a", workdir: "/a" }, "give cwd or workdir, not both"],
    [{ cwd: "etc" }, "cwd must be an absolute path"],
    [{ cwd: 1 as never }, "cwd must be an absolute path"],
  ])("is refused as %j", async (options, message) => {
    const { client, box, created } = await fakeBox();
    for (const call of [
      () => box.exec("x", options),
      () => box.execStream("x", options),
      () => client.run("fake", "x", options),
    ])
      expect(await failure(call())).toMatchObject({ code: "VALIDATION_ERROR", message });
    expect(created).toHaveBeenCalledOnce();
  });
});
