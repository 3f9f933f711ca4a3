import { expect, it } from "vitest";
import { BoxRunError } from "../../../src/backend/errors.js";
import { BoxRegistry } from "../../../src/local/boxes/box-registry.js";
import { newRecord } from "../../../src/local/store/record.js";
import { memoryStore } from "../../../src/local/store/store-memory.js";
import { SPEC } from "../fake-machine.js";

it("boxes are seen on a full disk, where not even a lock can be written", async () => {
  const store = memoryStore("a test");
  const cutOff = "box_aaaaaaaaaaaa";
  const halfMade = "box_bbbbbbbbbbbb";
  await (await store.create(cutOff, { ...newRecord(cutOff, SPEC), made: true }))();
  await (await store.create(halfMade, newRecord(halfMade, SPEC)))();
  const full = new BoxRegistry({
    ...store,
    lock: () => Promise.reject(new BoxRunError("STORAGE_FULL", "no space")),
  });
  expect(await full.list()).toMatchObject([{ id: cutOff, status: "stopped", stoppedAt: expect.any(Date) }]);
  // Once there is room, what is to be written of them is.
  expect(await new BoxRegistry(store).list()).toMatchObject([{ id: cutOff, status: "stopped" }]);
  expect(await store.readRecord(cutOff)).toMatchObject({ stoppedAt: expect.any(String) });
  expect(await store.readRecord(halfMade)).toBeUndefined();
});

it("a box that cannot be read is seen as such, and hides no other", async () => {
  const store = memoryStore("a test");
  const [whole, broken] = ["box_aaaaaaaaaaaa", "box_bbbbbbbbbbbb"];
  for (const id of [whole, broken]) {
    const record = { ...newRecord(id, SPEC), made: true, stoppedAt: new Date().toISOString() };
    await (await store.create(id, record))();
  }
  const registry = new BoxRegistry({
    ...store,
    readRecord: (id) =>
      id === broken
        ? Promise.reject(new BoxRunError("RUNTIME_ERROR", "permission denied"))
        : store.readRecord(id),
  });
  const listed = await registry.list();
  expect(listed.map(({ id, status }) => [id, status])).toEqual([
    [whole, "stopped"],
    [broken, "error"],
  ]);
  expect(listed[1]).toMatchObject({ errorCode: "RUNTIME_ERROR", errorMessage: "permission denied" });
  await expect(registry.resolve("other")).rejects.toMatchObject({ code: "BOX_NOT_FOUND" });
  expect(await registry.remove(broken)).toBe(true);
  expect(await registry.list()).toHaveLength(1);
});
