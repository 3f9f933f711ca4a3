import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { folderStore } from "../../../src/local/store/store-node.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-store-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

it("a folder of boxes can be read by its owner alone, whoever made it first", async () => {
  const forOthers = (path: string) => statSync(path).mode & 0o077;
  const state = join(folder, "state");
  const store = folderStore(state);
  await store.create("box_000000000000", {});
  expect([state, join(state, "boxes"), join(state, "boxes/box_000000000000")].map(forOthers)).toEqual([
    0, 0, 0,
  ]);
  const other = join(folder, "other");
  await folderStore(other).exclusively(async () => {});
  expect(forOthers(other)).toBe(0);
});

it("gives back an environment that looks like bytes", async () => {
  const store = folderStore(folder);
  const env = { base64: "aGVsbG8=", bytes: "x" };
  await store.create("box_000000000000", { spec: { env } });
  await store.appendHistory("box_000000000000", [{ info: { env }, output: [{ bytes: Uint8Array.of(1) }] }]);
  expect(await store.readRecord("box_000000000000")).toEqual({ spec: { env } });
  expect(await store.readHistory("box_000000000000")).toEqual([
    { info: { env }, output: [{ bytes: Uint8Array.of(1) }] },
  ]);
});

it.each([
  "../box_000000000000",
  "..",
  "",
  "/",
  "box_00000000000/",
  "box_000000000000/..",
  "box_00000000000A",
  "none\0",
])("reaches no folder but its own, whatever the id: %j", async (id) => {
  const store = folderStore(join(folder, "state"));
  await store.create("box_000000000000", { a: 1 });
  expect(await store.readRecord(id)).toBeUndefined();
  expect(await store.readHistory(id)).toEqual([]);
  await store.remove(id);
  expect(store.diskLocation(id)).toBe(join(folder, "state/boxes/none/disk"));
  expect(await store.readRecord("box_000000000000")).toEqual({ a: 1 });
});
