import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BoxRunError } from "../../src/backend/errors.js";
import { BoxRunClient, type ExecEvent } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import { deferred } from "../../src/util/deferred.js";

/** A box whose commands start when `go` is resolved. */
async function slowBox() {
  const backend = new FakeBackend({
    programs: {
      print: ({ write }) => write("hello\n"),
      silent: ({ signal }) => new Promise((resolve) => signal.addEventListener("abort", resolve)),
    },
  });
  const go = deferred<void>();
  const start = backend.startExec.bind(backend);
  vi.spyOn(backend, "startExec").mockImplementation(async (...args) => {
    await go.promise;
    return start(...args);
  });
  return { backend, go, box: await new BoxRunClient({ backend }).create("fake") };
}

async function all(events: AsyncIterable<ExecEvent>): Promise<ExecEvent[]> {
  const seen: ExecEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

/** Rejections that nobody handled during a test. Asked after a turn of the event loop, by when Node has told. */
let unhandled: unknown[] = [];
const onUnhandled = (error: unknown) => unhandled.push(error);
const turn = () => new Promise((resolve) => setImmediate(resolve));
beforeEach(() => {
  unhandled = [];
  process.on("unhandledRejection", onUnhandled);
});
afterEach(async () => {
  await turn();
  process.off("unhandledRejection", onUnhandled);
});

describe("a command that is being started", () => {
  it("is a promise of its execution, and gives all events to each loop", async () => {
    const { go, box } = await slowBox();
    const starting = box.execStream(["print"]);
    go.resolve();
    expect(starting).toBeInstanceOf(Promise);
    expect(Symbol.asyncIterator in starting.then()).toBe(false);
    const [execution, other] = await Promise.all([starting, box.spawn("print", [])]);
    expect(other.id).not.toBe(execution.id);
    const events = await all(execution);
    expect(events.map(({ type }) => type)).toEqual(["log", "exit"]);
    expect(await all(starting)).toEqual(events);
    expect(await Promise.all([all(starting), all(starting)])).toEqual([events, events]);
  });

  it("is started once, whether or not anybody looks at it", async () => {
    const { backend, go, box } = await slowBox();
    go.resolve();
    const starting = box.execStream(["print"]);
    await vi.waitFor(() => expect(backend.startExec).toHaveBeenCalledOnce());
    await all(starting);
    await all(starting);
    expect(backend.startExec).toHaveBeenCalledOnce();
  });

  it.each(["with a step that is pending", "before the first step"])(
    "is canceled when its reader leaves %s",
    async (when) => {
      const { go, box } = await slowBox();
      const starting = box.execStream(["silent"]);
      const events = starting[Symbol.asyncIterator]();
      const pending = when.startsWith("with") ? events.next() : undefined;
      const leaving = events.return();
      go.resolve();
      expect(await leaving).toEqual({ done: true, value: undefined });
      if (pending) expect(await pending).toEqual({ done: true, value: undefined });
      expect((await (await starting).info()).status).toBe("canceled");
      expect(await events.next()).toEqual({ done: true, value: undefined });
    },
  );

  it("goes on when the reader of a detached one leaves", async () => {
    const { go, box } = await slowBox();
    const starting = box.execStream(["silent"], { detached: true });
    go.resolve();
    await starting[Symbol.asyncIterator]().return();
    const execution = await starting;
    expect((await execution.info()).status).toBe("running");
    await execution.cancel();
  });

  it("is canceled when its stream is canceled before anything was read", async () => {
    const { go, box } = await slowBox();
    go.resolve();
    const execution = await box.execStream(["silent"]);
    await execution.output().cancel();
    expect((await execution.info()).status).toBe("canceled");
  });

  it("rejects a loop with the signal's reason, at once", async () => {
    const { backend, go, box } = await slowBox();
    const controller = new AbortController();
    const reading = failure(all(box.execStream(["silent"], { signal: controller.signal })));
    const reason = new Error("enough");
    await vi.waitFor(() => expect(backend.startExec).toHaveBeenCalledOnce());
    controller.abort(reason);
    expect(await reading).toBe(reason);
    go.resolve();
    await vi.waitFor(async () => expect((await box.executions())[0]?.status).toBe("canceled"));
  });
});

describe("a command that cannot be started", () => {
  const broken = new BoxRunError("BOX_NOT_RUNNING", "the box is not running");

  it("rejects every loop over it, and nothing is left unhandled", async () => {
    const { go, box } = await slowBox();
    go.reject(broken);
    const starting = box.execStream(["print"]);
    expect(await failure(all(starting))).toBe(broken);
    expect(await failure(all(starting))).toBe(broken);
    expect(await failure(starting)).toBe(broken);
    await turn();
    expect(unhandled).toEqual([]);
  });

  it("rejects the loop for wrong arguments, and throws nothing", async () => {
    const { backend, box } = await slowBox();
    const starting = box.execStream([]);
    expect(await failure(all(starting))).toMatchObject({ code: "VALIDATION_ERROR" });
    await turn();
    expect(unhandled).toEqual([]);
    expect(backend.startExec).not.toHaveBeenCalled();
  });

  it("lets a reader leave without an error", async () => {
    const { go, box } = await slowBox();
    const events = box.execStream(["print"])[Symbol.asyncIterator]();
    const leaving = events.return();
    go.reject(broken);
    expect(await leaving).toEqual({ done: true, value: undefined });
    await turn();
    expect(unhandled).toEqual([]);
  });

  it("is an unhandled rejection when nobody looks at it", async () => {
    const { go, box } = await slowBox();
    go.reject(broken);
    box.execStream(["print"])[Symbol.asyncIterator]();
    await vi.waitFor(() => expect(unhandled).toEqual([broken]));
  });
});
