import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
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

  /** A box whose commands print a line and go on. */
  async function hangingBox() {
    const backend = new FakeBackend();
    backend.beforeEvent = (seq) => (seq > 1 ? new Promise(() => {}) : Promise.resolve());
    const box = await new BoxRunClient({ backend }).create("tiny");
    return { backend, box };
  }

  it("is ended here after a grace period, with what it has printed", async () => {
    const { backend, box } = await hangingBox();
    const pending = failure(box.exec(["x"], { timeoutMs: 1000 }));
    await vi.advanceTimersByTimeAsync(5900);
    expect([...backend.execs.values()][0]!.status).toBe("running");
    await vi.advanceTimersByTimeAsync(200);
    expect(await pending).toMatchObject({
      code: "TIMEOUT",
      name: "ExitError",
      result: { stdout: "hello\n", exitCode: null, status: "timeout" },
    });
    expect([...backend.execs.values()][0]!.status).toBe("canceled");
  });

  it("ends its reader's loop with TIMEOUT", async () => {
    const { box } = await hangingBox();
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
    const box = await new BoxRunClient({ backend: new FakeBackend() }).create("tiny");
    await box.exec(["x"], { timeoutMs: 1000 });
    expect(vi.getTimerCount()).toBe(0);
  });
});
