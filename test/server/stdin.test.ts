import { describe, expect, it, onTestFinished } from "vitest";
import { BoxRunError } from "../../src/backend/errors.js";
import { BoxRunClient, type Timeouts } from "../../src/index.js";
import { lateAnswer } from "../../src/server/late-answer.js";
import { serve } from "../../src/server/node/serve.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import { deferred } from "../../src/util/deferred.js";

/** A server whose commands take their input when the test says so. */
class Unhurried extends FakeBackend {
  readonly asked = deferred<void>();
  readonly ready = deferred<void>();

  override async writeStdin(boxId: string, execId: string, chunk: Uint8Array): Promise<void> {
    this.asked.resolve();
    await this.ready.promise;
    await super.writeStdin(boxId, execId, chunk);
  }
}

async function start(timeouts: Timeouts) {
  const backend = new Unhurried();
  const server = await serve(backend, { port: 0 });
  onTestFinished(() => server.close());
  const client = new BoxRunClient({ backend: "remote", baseUrl: server.addresses[0]!, timeouts });
  onTestFinished(() => client.close());
  return { backend, box: await client.create("fake") };
}

/** Time that passes is what these are about. */
const pass = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("input that a command does not read yet", () => {
  it("waits for as long as it takes, and the server says that it is there", async () => {
    const { backend, box } = await start({ silenceMs: 200 });
    const running = box.exec(["cat"], { stdin: "hello" });
    await backend.asked.promise;
    await pass(600);
    backend.ready.resolve();
    expect((await running).stdout).toBe("hello");
  });

  it("is refused with the error, though the answer had begun", async () => {
    const { backend, box } = await start({ silenceMs: 200 });
    const { stdin } = await box.execStream(["cat"], { stdin: true });
    const writing = failure(stdin.getWriter().write("hello"));
    await backend.asked.promise;
    await pass(300);
    backend.ready.reject(new BoxRunError("EXEC_ALREADY_FINISHED", "it has ended"));
    expect(await writing).toMatchObject({ code: "EXEC_ALREADY_FINISHED", method: "POST" });
  });

  it("is answered past proxies that would hold back what has no end yet", async () => {
    const answer = deferred<Response>();
    const response = await lateAnswer(answer.promise, 1);
    answer.resolve(Response.json({ ok: true }));
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    expect(await response.json()).toEqual({ ok: true });
  });
});
