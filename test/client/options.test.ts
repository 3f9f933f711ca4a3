import { describe, expect, it } from "vitest";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

describe("an option that is misspelt", () => {
  const client = new BoxRunClient({ backend: new FakeBackend() });
  const box = client.create("fake");
  const wrong = { sginal: new AbortController().signal } as object;

  it.each<[string, () => Promise<unknown>]>([
    ["ready", () => client.ready(wrong)],
    ["info", () => client.info(wrong)],
    ["images", () => client.images(wrong)],
    ["getBox", () => client.getBox("a", wrong)],
    ["fromJSON", () => client.fromJSON({ id: "a" }, wrong)],
    ["listBoxes", () => client.listBoxes(wrong)],
    ["watchBoxes", () => client.watchBoxes(wrong).next()],
    ["gc", () => client.gc(wrong)],
    ["pull", () => client.pull("fake", wrong)],
    ["start", async () => (await box).start(wrong)],
    ["stop", async () => (await box).stop(wrong)],
    ["refresh", async () => (await box).refresh(wrong)],
    ["usage", async () => (await box).usage(wrong)],
    ["execution", async () => (await box).execution("a", wrong)],
    ["executions", async () => (await box).executions(wrong)],
    ["remove", async () => (await box).remove(wrong)],
    ["upload", async () => (await box).upload(new Uint8Array(1), "/a", wrong)],
    ["download", async () => (await box).download("/a", wrong)],
    ["read", async () => (await box).files.read("/a", wrong)],
    ["write", async () => (await box).files.write("/a", "text", wrong)],
    ["writeAll", async () => (await box).files.writeAll({ "/a": "text" }, wrong)],
    ["list", async () => (await box).files.list("/", wrong)],
    ["stat", async () => (await box).files.stat("/", wrong)],
    ["lstat", async () => (await box).files.lstat("/", wrong)],
    ["exists", async () => (await box).files.exists("/", wrong)],
    ["mkdir", async () => (await box).files.mkdir("/b", wrong)],
    ["rename", async () => (await box).files.rename("/", "/c", wrong)],
    ["files.remove", async () => (await box).files.remove("/a", wrong)],
    ["copy", async () => (await box).files.copy("/a", "/c", wrong)],
    ["pack", async () => (await box).files.pack("/", wrong)],
    ["unpack", async () => (await box).files.unpack(new Uint8Array(1024), "/d", wrong)],
  ])("is refused by %s, which does nothing then", async (_call, work) => {
    const error = await failure(work());
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain("unknown option sginal");
    expect(await client.listBoxes()).toHaveLength(1);
    expect(await (await box).executions()).toEqual([]);
    expect(await (await box).files.list("/")).toEqual([]);
  });

  it("is none of an object's own making either", async () => {
    const error = await failure(client.gc({ toString: 1 } as object));
    expect(error.message).toContain("unknown option toString");
  });

  it("is refused where a signal or an encoding stands in place of the options", async () => {
    const { files } = await box;
    const { signal } = new AbortController();
    for (const call of [
      () => files.read("/a", signal as object),
      () => files.list("/", signal as object),
      () => files.remove("/a", null as unknown as object),
      async () => (await box).download("/a", signal as object),
    ])
      expect(await failure(call())).toMatchObject({
        code: "VALIDATION_ERROR",
        message: expect.stringMatching(/^options must be an object \(the options are .*signal/),
      });
    const error = await failure(files.read("/a", "latin1" as "utf8"));
    expect(error.message).toBe(
      'the encoding must be "utf8" or "utf-8", got "latin1" (leave it out for bytes)',
    );
    const nowhere = undefined as unknown as string;
    for (const call of [
      async () => (await box).upload(new Uint8Array(1), nowhere),
      async () => (await box).download(nowhere),
    ])
      expect(await failure(call())).toMatchObject({
        code: "VALIDATION_ERROR",
        message: "path must be a string, got undefined",
      });
  });

  it("is none when it is given as undefined", async () => {
    await (await box).files.write("/a", "text", { sginal: undefined } as object);
    expect(await (await box).files.read("/a", "utf8")).toBe("text");
  });
});

describe("a list of boxes", () => {
  it("is refused for a status that no box can have", async () => {
    const client = new BoxRunClient({ backend: new FakeBackend() });
    await client.create("fake");
    expect(await client.listBoxes({ status: "running" })).toHaveLength(1);
    const error = await failure(client.listBoxes({ status: "runing" as "running" }));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toBe('status must be one of all, creating, running, stopped, error, got "runing"');
  });
});
