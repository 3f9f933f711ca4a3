import { inspect } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

async function boxThatPrints(text: string, code = 0) {
  const backend = new FakeBackend({
    programs: {
      print: ({ write }) => {
        write(text);
        write("why\n", "stderr");
        return code;
      },
    },
  });
  return { backend, box: await new BoxRunClient({ backend }).create("fake") };
}

describe("a result", () => {
  it("is data without bytes for JSON, clones and the console", async () => {
    const { box } = await boxThatPrints("hello\n");
    const result = await box.exec(["print"]);
    expect(result.stdoutBytes).toEqual(new TextEncoder().encode("hello\n"));
    expect(result.stderrBytes).toEqual(new TextEncoder().encode("why\n"));
    const data = JSON.parse(JSON.stringify(result));
    expect(Object.keys(data).sort()).toEqual(Object.keys(result).sort());
    expect(data).toMatchObject({
      ok: true,
      stdout: "hello\n",
      stderr: "why\n",
      durationMs: result.durationMs,
    });
    const copy = structuredClone(result);
    expect(copy).toEqual({ ...result });
    for (const one of [data, copy, { ...result }]) {
      expect(one).not.toHaveProperty("stdoutBytes");
      expect(one).not.toHaveProperty("text");
    }
    expect(inspect(result)).not.toMatch(/Bytes|Function/);
  });

  it.each([
    ["word\n", "word"],
    ["word\r\n", "word"],
    ["word\n\n", "word\n"],
    ["  word  ", "  word  "],
    ["\n", ""],
    ["", ""],
  ])("gives %j as the text %j", async (stdout, text) => {
    const { box } = await boxThatPrints(stdout);
    const result = await box.exec(["print"]);
    expect([result.stdout, result.text()]).toEqual([stdout, text]);
  });

  it("is its own when it is checked, and an error when the command failed", async () => {
    const good = await (await boxThatPrints("")).box.exec(["print"]);
    expect(good.check()).toBe(good);
    const bad = await (await boxThatPrints("hello\n", 3)).box.exec(["print"]);
    expect(bad.ok).toBe(false);
    const check = async () => bad.check();
    const error = await failure(check());
    expect(error).toMatchObject({ name: "ExitError", code: "COMMAND_FAILED", result: bad });
    expect(error.message).toBe('"print" exited with code 3: why');
    const data = structuredClone((error as unknown as { toJSON(): object }).toJSON());
    expect(data).toMatchObject({ result: { stdout: "hello\n", exitCode: 3, ok: false } });
  });

  it("of a command that was ended is not ok, and says so when it is checked", async () => {
    const { backend, box } = await boxThatPrints("");
    const running = failure(box.exec("sleep 100"));
    const { id } = await vi.waitFor(async () => (await box.executions()).at(0) ?? Promise.reject("none yet"));
    await backend.cancelExec(box.id, id);
    const { result } = (await running) as unknown as { result: { ok: boolean; check(): unknown } };
    expect(result.ok).toBe(false);
    expect(result.check).toThrow('has status "canceled"');
  });

  it("has a duration where the backend tells no end, and none below 0", async () => {
    const { backend, box } = await boxThatPrints("");
    const getExec = backend.getExec.bind(backend);
    let offsetMs: number | null = null;
    backend.getExec = async (...args) => {
      const info = await getExec(...args);
      const finishedAt = offsetMs === null ? null : new Date(info.createdAt.getTime() + offsetMs);
      return { ...info, finishedAt };
    };
    const { durationMs } = await box.exec(["print"]);
    expect(durationMs).toBeGreaterThanOrEqual(0);
    expect(Number.isInteger(durationMs)).toBe(true);
    offsetMs = 1234;
    expect((await box.exec(["print"])).durationMs).toBe(1234);
    offsetMs = -5;
    expect((await box.exec(["print"])).durationMs).toBe(0);
  });
});
