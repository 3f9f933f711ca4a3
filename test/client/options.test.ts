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

describe("the message for wrong options", () => {
  const client = new BoxRunClient({ backend: new FakeBackend() });
  const secret = "sk-secret";
  const create = (options: object) => () => client.create("fake", options);
  const make = (options: object) => async () => new BoxRunClient(options);
  const exec = (options: object) => async () => (await client.create("fake")).exec(["true"], options);

  it.each<[string, () => Promise<unknown>, string]>([
    ["a misspelt one", create({ memoryMB: 256 }), "unknown option memoryMB (did you mean memoryMb?)"],
    ["a word of other SDKs", create({ environment: {} }), "unknown option environment (did you mean env?)"],
    ["one of a command", exec({ timeout: 5 }), "unknown option timeout (did you mean timeoutMs?)"],
    [
      "two at once",
      create({ disk: 1, foo: 2 }),
      "unknown option disk (did you mean diskSizeGb?), unknown option foo",
    ],
    ["one like nothing", create({ secrets: secret }), "unknown option secrets"],
    [
      "one in a list",
      create({ volumes: [{ hostpath: "/a", guestPath: "/b" }] }),
      "volumes[0].hostPath is missing",
    ],
    [
      "a misspelt one in a list",
      create({ volumes: [{ hostPath: "/a", guestPath: "/b", readOnly: true }] }),
      "unknown option volumes[0].readOnly (did you mean readonly?)",
    ],
    [
      "a misspelt rule of the network",
      create({ network: { alow: ["pypi.org"] } }),
      "unknown option network.alow (did you mean allow?)",
    ],
    [
      "a rule of the wrong kind",
      create({ network: { allow: ["pypi.org", 443] } }),
      "network.allow[1] must be a string, got number",
    ],
    ["an empty rule", create({ network: { deny: [""] } }), "network.deny[0] must not be empty"],
    [
      "a network that is none",
      create({ network: "yes" }),
      "network must be a boolean or an object, got string",
    ],
    ["a secret of the wrong kind", create({ env: secret }), "env must be an object, got string"],
    [
      "a wrong text in a list",
      make({ local: { warm: [{ image: "" }] } }),
      "local.warm[0].image must not be empty",
    ],
    [
      "a misspelt one of a part",
      make({ local: { warm: [{ image: "tiny", cuont: 2 }] } }),
      "unknown option local.warm[0].cuont (did you mean count?)",
    ],
    [
      "a misspelt time limit",
      make({ timeouts: { requestMS: 5 } }),
      "unknown option timeouts.requestMS (did you mean requestMs?)",
    ],
  ])("names %s by its path, and what was meant", async (_what, call, message) => {
    expect(await failure(call())).toMatchObject({ code: "VALIDATION_ERROR", message });
  });
});
