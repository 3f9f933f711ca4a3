import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ExecSpec } from "../../src/backend.js";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

describe("a command that its backend does not end in time", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** As a server that forgets what it was told. */
  class NoTimeLimits extends FakeBackend {
    override startExec(boxId: string, spec: ExecSpec) {
      return super.startExec(boxId, { ...spec, timeoutMs: null });
    }
  }

  /** A box whose command prints a line and goes on. */
  async function hangingBox() {
    const backend = new NoTimeLimits({
      programs: {
        x: ({ write }) => {
          write("hello\n");
          return new Promise<number>(() => {});
        },
      },
    });
    return new BoxRunClient({ backend }).create("fake");
  }

  it("is ended here after a grace period, with what it has printed", async () => {
    const box = await hangingBox();
    const pending = failure(box.exec(["x"], { timeoutMs: 1000 }));
    await vi.advanceTimersByTimeAsync(5900);
    expect((await box.executions())[0]!.status).toBe("running");
    await vi.advanceTimersByTimeAsync(200);
    expect(await pending).toMatchObject({
      code: "TIMEOUT",
      name: "ExitError",
      result: { stdout: "hello\n", exitCode: null, status: "timeout" },
    });
    expect((await box.executions())[0]!.status).toBe("canceled");
  });

  it("ends its reader's loop with TIMEOUT", async () => {
    const box = await hangingBox();
    const execution = await box.execStream(["x"], { timeoutMs: 1000 });
    const reading = failure(
      (async () => {
        for await (const event of execution) void event;
      })(),
    );
    await vi.advanceTimersByTimeAsync(7000);
    expect(await reading).toMatchObject({ code: "TIMEOUT" });
  });

  it("leaves no clock behind when it ends by itself", async () => {
    const box = await new BoxRunClient({ backend: new FakeBackend() }).create("fake");
    await box.exec(["true"], { timeoutMs: 1000 });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a command in a box of its own", () => {
  it("is run with exact output where that is asked for", async () => {
    const asked: string[][] = [];
    class AsText extends FakeBackend {
      override readonly capabilities = { ...new FakeBackend().capabilities, bytes: "text alone" as never };
      override startExec(boxId: string, spec: ExecSpec) {
        asked.push(spec.cmd);
        return super.startExec(boxId, { ...spec, cmd: ["x"] });
      }
    }
    const backend = new AsText({ programs: { x: () => {} } });
    const client = new BoxRunClient({ backend });
    await client.run("fake", ["x"], { encoding: "bytes" });
    await client.run("fake", ["x"], { encoding: "text" });
    expect(asked).toEqual([expect.arrayContaining([expect.stringContaining("base64")]), ["x"]]);
    expect(await backend.listBoxes({})).toEqual([]);
  });
});
