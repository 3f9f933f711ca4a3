import { describe, expect, it, onTestFinished, vi } from "vitest";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { deferred } from "../../src/util/deferred.js";
import { BOX, ENDED, EXEC, json, OURS, PLAIN, SPEC, serve, sse } from "./servers.js";

describe("a creation that is given up", () => {
  // A server that hears of the abort may have finished it by then, its answer under way.
  it.each([PLAIN, OURS])("is awaited, and its box removed: %j", async (info) => {
    let finish!: () => void;
    const { backend, server } = await serve(info, (request, response) => {
      if (request.method === "DELETE") return json(response, { ok: true });
      finish = () => json(response, BOX, 201);
    });
    const controller = new AbortController();
    const reason = new Error("enough");
    const creating = failure(backend.createBox(SPEC, { signal: controller.signal }));
    await server.came(/\/v1\/boxes/);
    controller.abort(reason);
    expect(await creating).toBe(reason);
    finish();
    await server.came(/force=true/);
    expect(server.seen.at(-1)).toMatchObject({ method: "DELETE", path: `/v1/boxes/${BOX.id}?force=true` });
  });

  it.each([PLAIN, OURS])("is awaited where it is a start, and its box stopped: %j", async (info) => {
    let finish!: () => void;
    const { backend, server } = await serve(info, (request, response) => {
      if (request.path.endsWith(":stop")) return json(response, { ...BOX, status: "stopped" });
      finish = () => json(response, BOX);
    });
    const controller = new AbortController();
    const reason = new Error("enough");
    const starting = failure(backend.startBox(BOX.id, { signal: controller.signal }));
    await server.came(/:start/);
    controller.abort(reason);
    expect(await starting).toBe(reason);
    finish();
    await server.came(/:stop/);
  });
});

describe("closing", () => {
  it("ends what is pending, and refuses what comes later", async () => {
    const { backend, server } = await serve(PLAIN, () => {});
    const pending = failure(backend.getBox("a"));
    await server.came(/boxes/);
    await backend.close();
    await backend.close();
    expect(await pending).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await failure(backend.listBoxes({}))).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await failure(backend.removeBox("a", { force: true }))).toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  it("right after an abort leaves the cancel of its command the time to arrive", async () => {
    const answer = deferred();
    const { backend, server } = await serve(PLAIN, (request, response) => {
      if (request.path.endsWith("/events")) return void sse(response);
      if (request.path.endsWith("/cancel")) return void answer.promise.then(() => json(response, ENDED));
      json(response, request.path.endsWith("/exec") ? EXEC : BOX, request.method === "POST" ? 201 : 200);
    });
    const client = new BoxRunClient({ backend });
    const box = await client.getBox(BOX.id);
    const controller = new AbortController();
    const running = failure(box.exec("sleep 60", { signal: controller.signal }));
    await server.came(/events/);
    controller.abort(new Error("enough"));
    let isClosed = false;
    const closing = client.close().then(() => {
      isClosed = true;
    });
    await server.came(/cancel/);
    expect(isClosed).toBe(false);
    answer.resolve();
    await closing;
    expect(await running).toMatchObject({ message: "enough" });
  });

  it.each([
    ["a creation that was given up", true],
    ["a creation that goes on", false],
  ])("removes the box of %s", async (_, aborts) => {
    const answer = deferred();
    const { backend, server } = await serve(PLAIN, (request, response) => {
      if (request.method === "DELETE") return json(response, { ok: true });
      answer.promise.then(() => json(response, BOX, 201));
    });
    const controller = new AbortController();
    const creating = failure(backend.createBox(SPEC, { signal: controller.signal }));
    await server.came(/boxes/);
    if (aborts) controller.abort(new Error("enough"));
    const closing = backend.close();
    expect(await creating).toMatchObject(aborts ? { message: "enough" } : { code: "VALIDATION_ERROR" });
    answer.resolve();
    await closing;
    expect(server.seen.at(-1)).toMatchObject({ method: "DELETE", path: `/v1/boxes/${BOX.id}?force=true` });
  });

  it("does not wait for ever", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const { backend, server } = await serve(PLAIN, () => {});
    const removing = failure(backend.removeBox(BOX.id, { force: true }));
    await server.came(/force/);
    const closing = backend.close();
    await vi.advanceTimersByTimeAsync(5000);
    await closing;
    expect(await removing).toMatchObject({ code: "VALIDATION_ERROR" });
  });
});
