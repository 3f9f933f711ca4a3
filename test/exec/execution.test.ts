import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Capabilities, ExecSpec } from "../../src/backend/backend.js";
import { BoxRunError } from "../../src/backend/errors.js";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import type { FakeProgram } from "../../src/testing/fake-execution.js";

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
      override readonly capabilities: Capabilities = {
        ...new FakeBackend().capabilities,
        bytes: "text alone",
      };
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

describe("a command with one output", () => {
  const print: FakeProgram = ({ write }) => {
    write("out\n");
    write("err\n", "stderr");
  };

  it("has it by its backend, where that can", async () => {
    const backend = new FakeBackend({ programs: { print } });
    const start = vi.spyOn(backend, "startExec");
    const client = new BoxRunClient({ backend });
    const result = await client.run("fake", ["print"], { stderr: "stdout" });
    expect(result).toMatchObject({ stdout: "out\nerr\n", stderr: "", cmd: ["print"] });
    expect(start.mock.calls[0]![1]).toMatchObject({ cmd: ["print"], stderr: "stdout" });
  });

  it.each(["a reason", undefined])(
    "has it by a shell of the box, where the capability is %j",
    async (why) => {
      class Apart extends FakeBackend {
        override readonly capabilities: Capabilities = { ...new FakeBackend().capabilities, stderr: why };
      }
      const backend = new Apart({ programs: { sh: print } });
      const start = vi.spyOn(backend, "startExec");
      const box = await new BoxRunClient({ backend }).create("fake");
      const result = await box.exec(["print", "a  b"], { stderr: "stdout" });
      expect(result.cmd).toEqual(["print", "a  b"]);
      const spec = start.mock.calls[0]![1];
      expect(spec).not.toHaveProperty("stderr");
      expect(spec.cmd.slice(-2)).toEqual(["print", "a  b"]);
      expect(spec.cmd[2]).toContain("exec 2>&1");
    },
  );
});

describe("a command whose end the stream has told", () => {
  it.each(["EXEC_NOT_FOUND", "CONNECTION_FAILED"] as const)(
    "has its result, though the state cannot be had: %s",
    async (code) => {
      const x = ({ write }: { write(data: string): void }) => {
        write("hello\n");
        return 3;
      };
      const backend = new FakeBackend({ programs: { x } });
      const box = await new BoxRunClient({ backend }).create("fake");
      vi.spyOn(backend, "getExec").mockRejectedValue(new BoxRunError(code, "not now"));
      expect(await box.exec(["x"])).toMatchObject({ stdout: "hello\n", exitCode: 3, status: "failed" });
    },
  );
});

it("an error of a command's stream is told at once, not when its cancel has been answered", async () => {
  const backend = new FakeBackend();
  const box = await new BoxRunClient({ backend }).create("fake");
  const broken = new BoxRunError("STREAM_INTERRUPTED", "the server is gone");
  vi.spyOn(backend, "execEvents").mockImplementation(async function* () {
    yield { type: "log", stream: "stdout", bytes: new Uint8Array(1), seq: 1 };
    throw broken;
  });
  const canceling = vi.spyOn(backend, "cancelExec").mockReturnValue(new Promise(() => {}));
  expect(await failure(box.exec(["true"]))).toBe(broken);
  expect(canceling).toHaveBeenCalledOnce();
});

describe("the box of a single command", () => {
  const lost = new BoxRunError("CONNECTION_FAILED", "the connection was lost", { retryable: true });

  /** A server that is lost at the first removals. */
  class LosesRemovals extends FakeBackend {
    constructor(private left: number) {
      const x = ({ write }: { write(data: string): void }) => {
        write("hello\n");
        return 3;
      };
      super({ programs: { x } });
    }

    override async removeBox(id: string, options: { force: boolean }) {
      if (this.left-- > 0) throw lost;
      return super.removeBox(id, options);
    }
  }

  it("is removed by another try when the first is lost", async () => {
    const client = new BoxRunClient({ backend: new LosesRemovals(1) });
    expect(await client.run("fake", ["x"])).toMatchObject({ stdout: "hello\n", exitCode: 3 });
    expect(await client.listBoxes()).toEqual([]);
  });

  it("changes nothing of what came of the command when it cannot be removed", async () => {
    const client = new BoxRunClient({ backend: new LosesRemovals(9) });
    expect(await client.run("fake", ["x"])).toMatchObject({ stdout: "hello\n", exitCode: 3 });
    expect(await failure(client.run("fake", ["x"], { check: true }))).toMatchObject({
      code: "COMMAND_FAILED",
    });
  });

  it("does not hold up an abort", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const backend = new FakeBackend({
      programs: {
        x: () => {
          controller.abort(reason);
          return new Promise<number>(() => {});
        },
      },
    });
    const removing = vi.spyOn(backend, "removeBox").mockReturnValue(new Promise(() => {}));
    const running = new BoxRunClient({ backend }).run("fake", ["x"], { signal: controller.signal });
    expect(await failure(running)).toBe(reason);
    expect(removing).toHaveBeenCalledOnce();
  });
});
