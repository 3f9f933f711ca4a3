import { expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.js";
import type { FilesToWrite } from "../../src/files/file-types.js";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

const newBox = (changes: Partial<Backend> = {}) =>
  new BoxRunClient({ backend: Object.assign(new FakeBackend(), changes) }).create("fake");

it.each<[string, unknown, RegExp]>([
  ["a relative path", { "/ok": "1", "a.py": "2" }, /absolute path, got "a.py"/],
  ["a directory's path", { "/ok": "1", "/dir/": "2" }, /"\/dir\/" names a directory/],
  ["contents of another kind", { "/ok": "1", "/a": 5 }, /contents of \/a must be text, bytes/],
  ["an entry without data", { "/ok": "1", "/a": { mode: 0o600 } }, /contents of \/a must be/],
  ["a wrong mode", { "/ok": "1", "/a": { data: "", mode: -1 } }, /permission bits/],
  ["an unknown key", { "/ok": "1", "/a": { data: "", owner: 1 } }, /owner/],
  ["a file below a file", { "/ok": "1", "/a": "", "/a/b": "" }, /\/a cannot be a file.*\/a\/b/],
  ["one file under two names", { "/ok": "1", "/a/b": "", "/a/./b": "" }, /same file twice/],
  ["an array", ["/ok"], /files must be an object/],
  ["null", null, /files must be an object/],
])("writeAll refuses %s before it writes anything", async (_what, files, message) => {
  const box = await newBox();
  const error = await failure(box.files.writeAll(files as FilesToWrite));
  expect(error).toMatchObject({ code: "VALIDATION_ERROR", message: expect.stringMatching(message) });
  expect(await box.files.list("/")).toEqual([]);
});

it("writeAll names the path of an error that does not", async () => {
  const box = await newBox();
  await box.stop();
  const error = await failure(box.files.writeAll({ "/srv/a": "1" }));
  expect(error).toMatchObject({ code: "BOX_NOT_RUNNING", message: expect.stringContaining("/srv/a") });
});

it("writeAll rejects with the signal's reason, and cancels sources that are not read", async () => {
  const canceled: number[] = [];
  const stream = (i: number) => new ReadableStream<Uint8Array>({ cancel: () => void canceled.push(i) });
  const files = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`/f${i}`, stream(i)]));
  const controller = new AbortController();
  const reason = new Error("enough");
  const writing = failure((await newBox()).files.writeAll(files, { signal: controller.signal }));
  controller.abort(reason);
  expect(await writing).toBe(reason);
  await expect.poll(() => new Set(canceled).size).toBe(20);
});

it("writeAll gives up the other files when one source fails", async () => {
  const reason = new Error("the source broke");
  const broken = new ReadableStream<Uint8Array>({ start: (controller) => controller.error(reason) });
  const endless = new ReadableStream<Uint8Array>({});
  const box = await newBox();
  expect(await failure(box.files.writeAll({ "/a": endless, "/b": broken }))).toBe(reason);
  expect(await box.files.exists("/a")).toBe(false);
});
