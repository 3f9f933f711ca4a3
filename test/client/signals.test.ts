import { describe, expect, it } from "vitest";
import { BoxRunClient, type CallOptions } from "../../src/index.js";
import { createHandler } from "../../src/server.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

const never = () => new Promise<never>(() => {});

/** A client of a backend that answers until it is silenced, and the calls that reached it since then. */
async function open() {
  const fake = new FakeBackend();
  let silent = false;
  const asked: string[] = [];
  const backend = new Proxy(fake, {
    get: (target, name) => {
      const value = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (!silent) return value.apply(target, args);
        asked.push(String(name));
        return never();
      };
    },
  });
  const client = new BoxRunClient({ backend });
  const box = await client.create("fake");
  const execution = await box.execStream(["sleep", "600"], { detached: true });
  silent = true;
  return { client, box, execution, asked };
}

type Opened = Awaited<ReturnType<typeof open>>;

const CALLS: [string, (opened: Opened, options: CallOptions) => Promise<unknown>][] = [
  ["info", ({ client }, options) => client.info(options)],
  ["images", ({ client }, options) => client.images(options)],
  ["getBox", ({ client }, options) => client.getBox("name", options)],
  ["fromJSON", ({ client, box }, options) => client.fromJSON(box.toJSON(), options)],
  ["listBoxes", ({ client }, options) => client.listBoxes({ status: "running", ...options })],
  ["gc", ({ client }, options) => client.gc({ olderThan: 1, ...options })],
  ["pull", ({ client }, options) => client.pull("fake", options)],
  ["create", ({ client }, options) => client.create("fake", options)],
  ["watchBoxes", ({ client }, options) => client.watchBoxes(options).next()],
  ["stop", ({ box }, options) => box.stop(options)],
  ["start", ({ box }, options) => box.start(options)],
  ["refresh", ({ box }, options) => box.refresh(options)],
  ["usage", ({ box }, options) => box.usage(options)],
  ["remove", ({ box }, options) => box.remove({ force: true, ...options })],
  ["execution", ({ box }, options) => box.execution("exec_aaaaaaaaaaaa", options)],
  ["executions", ({ box }, options) => box.executions(options)],
  ["attach", ({ box }, options) => box.attach(options)],
  ["execution.info", ({ execution }, options) => execution.info(options)],
  ["execution.wait", ({ execution }, options) => execution.wait(options)],
  ["execution.cancel", ({ execution }, options) => execution.cancel(options)],
  ["execution.kill", ({ execution }, options) => execution.kill("SIGTERM", options)],
];

describe("a call whose signal aborts", () => {
  it.each(CALLS)("%s rejects at once with the signal's reason", async (_name, call) => {
    const opened = await open();
    const controller = new AbortController();
    const reason = new Error("enough");
    const failed = failure(call(opened, { signal: controller.signal }));
    await expect.poll(() => opened.asked.length).toBeGreaterThan(0);
    controller.abort(reason);
    expect(await failed).toBe(reason);
  });

  it.each(CALLS)("%s is not made when it has aborted before", async (_name, call) => {
    const opened = await open();
    const reason = new Error("too late");
    expect(await failure(call(opened, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(opened.asked).toEqual([]);
  });

  it("is told what is no signal", async () => {
    const { box } = await open();
    const error = await failure(box.stop({ signal: 5000 as unknown as AbortSignal }));
    expect(error).toMatchObject({
      code: "VALIDATION_ERROR",
      message: "signal must be an AbortSignal, got 5000",
    });
  });

  it("does not change anything while the client is still looking for a backend", async () => {
    const removed: string[] = [];
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const handler = createHandler(new FakeBackend());
    const client = new BoxRunClient({
      baseUrl: "http://127.0.0.1:9090",
      fetch: async (request) => {
        if (request.method !== "GET") removed.push(request.url);
        await answered;
        return handler(request);
      },
    });
    const controller = new AbortController();
    const collected = failure(client.gc({ signal: controller.signal }));
    controller.abort(new Error("enough"));
    expect((await collected).message).toBe("enough");
    answer();
    await client.info();
    expect(removed).toEqual([]);
  });

  it("ends the request that only asks for something", async () => {
    const handler = createHandler(new FakeBackend());
    const ended: string[] = [];
    let silent = false;
    const client = new BoxRunClient({
      baseUrl: "http://127.0.0.1:9090",
      fetch: (request) => {
        if (!silent) return handler(request);
        request.signal.addEventListener("abort", () => ended.push(request.method));
        return never();
      },
    });
    const box = await client.create("fake");
    silent = true;
    const controller = new AbortController();
    const { signal } = controller;
    const failures = [
      box.refresh({ signal }),
      box.executions({ signal }),
      client.listBoxes({ signal }),
      client.images({ signal }),
      box.usage({ signal }),
    ].map(failure);
    await new Promise((resolve) => setTimeout(resolve));
    controller.abort(new Error("enough"));
    for (const error of await Promise.all(failures)) expect(error.message).toBe("enough");
    await expect.poll(() => ended).toEqual(["GET", "GET", "GET", "GET", "GET"]);
  });
});
