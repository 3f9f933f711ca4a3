import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing.js";

const REASON = new Error("seen enough");

/** A client, its signal, and a list of its boxes that waits for a change. */
async function watching() {
  const client = new BoxRunClient({ backend: new FakeBackend() });
  const controller = new AbortController();
  const lists = client.watchBoxes({ signal: controller.signal });
  await lists.next();
  const next = lists.next();
  return { client, controller, lists, next };
}

describe("the end of watchBoxes", () => {
  it.each([
    ["closed, then aborted", ["close", "abort"]],
    ["aborted, then closed", ["abort", "close"]],
  ])("is for the caller's reason when it is both: %s", async (_, order) => {
    const { client, controller, next } = await watching();
    const ended = failure(next);
    const closing = order.map((what) => (what === "abort" ? controller.abort(REASON) : client.close()));
    expect(await ended).toBe(REASON);
    await Promise.all(closing);
  });

  it("is no error when the client alone is closed", async () => {
    const { client, next } = await watching();
    await client.close();
    expect(await next).toMatchObject({ done: true });
  });

  it("leaves nothing on the caller's signal", async () => {
    const { client, controller, lists, next } = await watching();
    const { signal } = controller;
    expect(getEventListeners(signal, "abort").length).toBeGreaterThan(0);
    await client.create("fake");
    await next;
    await lists.return();
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await client.close();
  });
});
