import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { BoxRunClient } from "../../../src/index.js";
import { failure } from "../../../src/testing/contract/tools.js";
import { BOX, ENDED, EXEC, exit, follow, isEvents, json, log, PLAIN, serve, sse } from "../servers.js";

describe("the result of a command", () => {
  it.each([
    [0, "succeeded"],
    [3, "failed"],
  ])("has the exit code that the stream told, where the state does not yet: %i", async (code, status) => {
    const { backend } = await serve(PLAIN, (request, response) => {
      if (isEvents(request)) return void sse(response).end(log(1, "x") + exit(2, code));
      json(response, /exec/.test(request.path) ? EXEC : BOX);
    });
    const box = await new BoxRunClient({ backend }).getBox(BOX.id);
    expect(await box.exec("true")).toMatchObject({ exitCode: code, status, stdout: "x" });
  });
});

describe("waiting for an execution", () => {
  it("asks for its state until it has ended, and reads no output", async () => {
    let asked = 0;
    const { backend, server } = await serve(PLAIN, (_request, response) =>
      json(response, ++asked < 3 ? EXEC : ENDED),
    );
    expect(await backend.waitExec(BOX.id, EXEC.id, {})).toMatchObject({ status: "failed", exitCode: 3 });
    expect(server.seen.filter(isEvents)).toHaveLength(0);
  });

  it("takes a status it does not know for the end", async () => {
    const { backend } = await serve(PLAIN, (_request, response) =>
      json(response, { ...ENDED, status: "evicted" }),
    );
    expect(await backend.waitExec(BOX.id, EXEC.id, {})).toMatchObject({ status: "evicted" });
  });

  it("asks at once when a stream has seen the exit", async () => {
    let stream: ServerResponse | undefined;
    let ended = false;
    const { backend, server } = await serve(PLAIN, (request, response) => {
      if (isEvents(request)) stream = sse(response);
      else json(response, ended ? ENDED : EXEC);
    });
    const reading = follow(backend);
    await server.came(/events/);
    const waiting = backend.waitExec(BOX.id, EXEC.id, {});
    // By now the pauses are longer than a second.
    await server.came(new RegExp(`${EXEC.id}$`), 9);
    const began = performance.now();
    ended = true;
    stream!.end(exit(1, 3));
    expect((await waiting).exitCode).toBe(3);
    expect(performance.now() - began).toBeLessThan(700);
    await reading;
  });

  it("gives up with the signal's reason, at once", async () => {
    const { backend, server } = await serve(PLAIN, (_request, response) => json(response, EXEC));
    const controller = new AbortController();
    const reason = new Error("enough");
    const waiting = failure(backend.waitExec(BOX.id, EXEC.id, { signal: controller.signal }));
    await server.came(new RegExp(EXEC.id), 2);
    controller.abort(reason);
    expect(await waiting).toBe(reason);
  });
});
