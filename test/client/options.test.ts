import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

describe("an option that is misspelt", () => {
  const client = new BoxRunClient({ backend: new FakeBackend() });
  const box = client.create("fake");
  const wrong = { sginal: new AbortController().signal } as object;

  const calls: [string, (options: object) => Promise<unknown>][] = [
    ["ready", (options) => client.ready(options)],
    ["info", (options) => client.info(options)],
    ["images", (options) => client.images(options)],
    ["getBox", (options) => client.getBox("a", options)],
    ["fromJSON", (options) => client.fromJSON({ id: "a" }, options)],
    ["listBoxes", (options) => client.listBoxes(options)],
    ["watchBoxes", (options) => client.watchBoxes(options).next()],
    ["gc", (options) => client.gc(options)],
    ["pull", (options) => client.pull("fake", options)],
    ["start", async (options) => (await box).start(options)],
    ["stop", async (options) => (await box).stop(options)],
    ["refresh", async (options) => (await box).refresh(options)],
    ["usage", async (options) => (await box).usage(options)],
    ["execution", async (options) => (await box).execution("a", options)],
    ["executions", async (options) => (await box).executions(options)],
    ["remove", async (options) => (await box).remove(options)],
    ["upload", async (options) => (await box).upload(new Uint8Array(1), "/a", options)],
    ["download", async (options) => (await box).download("/a", options)],
    ["read", async (options) => (await box).files.read("/a", options)],
    ["write", async (options) => (await box).files.write("/a", "text", options)],
    ["writeAll", async (options) => (await box).files.writeAll({ "/a": "text" }, options)],
    ["list", async (options) => (await box).files.list("/", options)],
    ["stat", async (options) => (await box).files.stat("/", options)],
    ["lstat", async (options) => (await box).files.lstat("/", options)],
    ["exists", async (options) => (await box).files.exists("/", options)],
    ["mkdir", async (options) => (await box).files.mkdir("/b", options)],
    ["rename", async (options) => (await box).files.rename("/", "/c", options)],
    ["files.remove", async (options) => (await box).files.remove("/a", options)],
    ["copy", async (options) => (await box).files.copy("/a", "/c", options)],
    ["pack", async (options) => (await box).files.pack("/", options)],
    ["unpack", async (options) => (await box).files.unpack(new Uint8Array(1024), "/d", options)],
    ["exec", async (options) => (await box).exec(["true"], options)],
    ["execStream", async (options) => (await box).execStream(["true"], options)],
    ["create", (options) => client.create("fake", options)],
    ["getOrCreate", (options) => client.getOrCreate("new", "fake", options)],
    ["run", (options) => client.run("fake", ["true"], options)],
  ];

  it.each([[[]], ["API_KEY"], [null]])("are refused where they are no secrets: %j", async (secrets) => {
    const error = await failure(client.create("fake", { network: true, secrets: secrets as never }));
    expect(error).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining("secrets must be"),
    });
    expect(await client.listBoxes()).toHaveLength(1);
  });

  it.each(calls)("is refused by %s, which does nothing then", async (_call, work) => {
    const error = await failure(work(wrong));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain("unknown option sginal");
    expect(await client.listBoxes()).toHaveLength(1);
    expect(await (await box).executions()).toEqual([]);
    expect(await (await box).files.list("/")).toEqual([]);
  });

  it.each(calls)("is refused by %s when it is a signal that is none", async (_call, work) => {
    const error = await failure(work({ signal: {} }));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toMatch(/^signal must be an AbortSignal, got object/);
    expect(await client.listBoxes()).toHaveLength(1);
  });

  it.each(calls)("is refused by %s when there are none", async (_call, work) => {
    const error = await failure(work(null as unknown as object));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toMatch(/options must be an object/);
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

it("an option of run that is misspelt is compared with those of the box and of the command", async () => {
  const client = new BoxRunClient({ backend: new FakeBackend() });
  for (const [given, meant] of [
    ["timeout", "timeoutMs"],
    ["memory", "memoryMb"],
    ["cwdd", "cwd"],
  ] as const) {
    const error = await failure(client.run("fake", ["true"], { [given]: 5 }));
    expect(error.message).toContain(`unknown option ${given} (did you mean ${meant}?)`);
  }
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
    ["one like nothing", create({ colours: secret }), "unknown option colours"],
    ["one in a list", create({ volumes: [{ guestPath: "/b" }] }), "volumes[0].hostPath is missing"],
    [
      "one of a list in other letters",
      create({ volumes: [{ hostpath: "/a", guestPath: "/b" }] }),
      "unknown option volumes[0].hostpath (did you mean hostPath?)",
    ],
    [
      "two of a list that exclude each other",
      create({ volumes: [{ hostPath: "/a", source: { kind: "memory" }, guestPath: "/b" }] }),
      "volumes[0].source cannot be given with hostPath",
    ],
    [
      "a source that is none",
      create({ volumes: [{ source: "/a", guestPath: "/b" }] }),
      expect.stringMatching(
        /^volumes\[0\]\.source must be a volume in memory or a directory handle, got string/,
      ) as string,
    ],
    [
      "the handle of a file",
      create({ volumes: [{ source: { kind: "file", name: "notes.txt" }, guestPath: "/b" }] }),
      expect.stringMatching(/or a directory handle, got that of a file/) as string,
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

describe("an option of another call", () => {
  const client = new BoxRunClient({ backend: new FakeBackend() });
  const box = client.create("fake");

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ["exec", async () => (await box).exec(["true"], { detached: true } as object), /detached.*execStream/],
    ["exec", async () => (await box).exec(["cat"], { stdin: true } as object), /stdin.*execStream/],
    [
      "execStream",
      async () => (await box).execStream(["true"], { onStdout: () => {} } as object),
      /onStdout.*exec has it/,
    ],
    [
      "execStream",
      async () => (await box).execStream(["true"], { check: true } as object),
      /check.*exec has it/,
    ],
  ])("is refused by %s, with the call that has it", async (_call, work, message) => {
    const error = await failure(work());
    expect(error).toMatchObject({ code: "VALIDATION_ERROR", message: expect.stringMatching(message) });
    expect(await (await box).executions()).toEqual([]);
  });
});

it("a box and an execution show their state alone in console.log", async () => {
  const box = await new BoxRunClient({ backend: new FakeBackend() }).create("fake", { name: "demo" });
  const execution = await box.execStream(["true"]);
  expect(inspect(box)).toMatch(/BoxHandle: \{[\s\S]*name: 'demo'/);
  expect(inspect(execution)).toMatch(/Execution: \{[\s\S]*cmd: \[ 'true' \]/);
  for (const text of [inspect(box), inspect(execution)]) expect(text).not.toContain("backend");
});
