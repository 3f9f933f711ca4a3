import { describe, expect, it, vi } from "vitest";
import { BoxRunError } from "../../src/backend/errors.js";
import { type BoxInfo, BoxRunClient, type CreateOptions } from "../../src/index.js";
import { memoryVolume } from "../../src/local/boxes/memory-volume.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

function setUp(changes: Partial<FakeBackend> = {}) {
  const backend = Object.assign(new FakeBackend(), changes);
  return { backend, client: new BoxRunClient({ backend }) };
}

describe("getOrCreate", () => {
  it("creates a box of the name, and finds it from then on, running or stopped", async () => {
    const { client } = setUp();
    const first = await client.getOrCreate("demo", "fake", { memoryMb: 256, files: { "/a": "1" } });
    await first.files.write("/a", "2");
    const second = await client.getOrCreate("demo", "fake", { memoryMb: 256, files: { "/a": "1" } });
    expect(second.id).toBe(first.id);
    await second.stop();
    const third = await client.getOrCreate("demo", "fake");
    expect(third.info).toMatchObject({ id: first.id, status: "running" });
    expect(await third.files.read("/a", "utf-8")).toBe("2");
  });

  it.each<[CreateOptions, RegExp]>([
    [{ memoryMb: 1024 }, /^box demo exists with memoryMb 256, asked for 1024 \(/],
    [{ workdir: "/srv", cpu: 4 }, /cpu 2, asked for 4; workdir "\/root", asked for "\/srv"/],
    [{ network: { allow: ["pypi.org"] } }, /network true, asked for \{"allow":\["pypi.org"\]\}/],
    [{ env: { A: "1", B: "secret" } }, /other values of env than asked for: B/],
    [{ volumes: [{ hostPath: "/x", guestPath: "/y" }] }, /volumes \[\], asked for \[\{"hostPath":"\/x"/],
  ])("refuses %j for a box that has other options, and names the difference", async (options, message) => {
    const { client } = setUp();
    await client.create("fake", { name: "demo", memoryMb: 256, network: true, env: { A: "1" } });
    const error = await failure(client.getOrCreate("demo", "fake", options));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR", message: expect.stringMatching(message) });
    expect(error.message).not.toContain("secret");
  });

  it("starts a box with its volumes in memory, which are the same wherever they are from", async () => {
    const { client, backend } = setUp();
    const start = vi.spyOn(backend, "startBox");
    const volumes = [{ source: memoryVolume(), guestPath: "/work" }];
    const box = await client.getOrCreate("demo", "fake", { volumes });
    expect(box.info.volumes).toEqual([{ source: "memory", guestPath: "/work" }]);
    await box.stop();
    const again = await client.getOrCreate("demo", "fake", { volumes });
    expect(again.id).toBe(box.id);
    expect(start.mock.lastCall).toEqual([box.id, { volumes }]);
    const other = [{ ...volumes[0]!, guestPath: "/other" }];
    const error = await failure(client.getOrCreate("demo", "fake", { volumes: other }));
    expect(error.message).toMatch(/volumes .*"guestPath":"\/work".*, asked for .*"guestPath":"\/other"/);
  });

  it("takes equal rules of the network as the same, however they are written", async () => {
    const { client } = setUp();
    const open = await client.create("fake", { name: "open", network: true });
    expect((await client.getOrCreate("open", "fake", { network: {} })).id).toBe(open.id);
    const ruled = await client.create("fake", { name: "ruled", network: { allow: ["a.test"], lan: "shop" } });
    const again = await client.getOrCreate("ruled", "fake", { network: { lan: "shop", allow: ["a.test"] } });
    expect(again.id).toBe(ruled.id);
  });

  it("takes names of one image as the same, and refuses another image", async () => {
    const image = { name: "fake", aliases: ["alias"], description: "", downloadBytes: 0, totalBytes: 0 };
    const { client } = setUp({ images: async () => [image] });
    const box = await client.create("fake", { name: "demo" });
    expect((await client.getOrCreate("demo", "alias")).id).toBe(box.id);
    const error = await failure(client.getOrCreate("demo", "other"));
    expect(error).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining('image "fake", asked for "other"'),
    });
  });

  it("gives one box to callers at once", async () => {
    const { client } = setUp();
    const boxes = await Promise.all(
      Array.from({ length: 10 }, () => client.getOrCreate("demo", "fake", { files: { "/a": "1" } })),
    );
    expect(new Set(boxes.map(({ id }) => id)).size).toBe(1);
    await boxes[0]!.stop();
    await Promise.all(boxes.map(() => client.getOrCreate("demo", "fake")));
    expect(await client.listBoxes()).toHaveLength(1);
  });

  it("waits for a box that its backend shows only once it is created", async () => {
    vi.useFakeTimers();
    try {
      const { backend, client } = setUp();
      const made = await client.create("fake", { name: "demo" });
      const hidden = new BoxRunError("BOX_NOT_FOUND", "no box demo");
      const look = vi.spyOn(backend, "getBox");
      for (let i = 0; i < 20; i++) look.mockRejectedValueOnce(hidden);
      const found = client.getOrCreate("demo", "fake");
      await vi.advanceTimersByTimeAsync(10_000);
      expect((await found).id).toBe(made.id);
    } finally {
      vi.useRealTimers();
    }
  });

  it("removes with await using only what it created", async () => {
    const { client } = setUp();
    const kept = await client.create("fake", { name: "kept" });
    {
      await using found = await client.getOrCreate("kept", "fake");
      await using made = await client.getOrCreate("made", "fake");
      expect(found.id).toBe(kept.id);
      expect(made.name).toBe("made");
    }
    expect((await client.listBoxes()).map(({ name }) => name)).toEqual(["kept"]);
  });

  it("waits for a box that somebody else is creating, and creates it when that is given up", async () => {
    const { backend, client } = setUp();
    const made = await client.create("fake", { name: "demo" });
    const creating: BoxInfo = { ...made.info, status: "creating" };
    const look = vi.spyOn(backend, "getBox").mockResolvedValueOnce(creating);
    expect((await client.getOrCreate("demo", "fake")).id).toBe(made.id);
    expect(look).toHaveBeenCalledTimes(2);
    look.mockResolvedValueOnce(creating);
    const again = client.getOrCreate("demo", "fake");
    await made.remove({ force: true });
    expect((await again).id).not.toBe(made.id);
  });

  it("gives up its wait when the signal aborts", async () => {
    const { backend, client } = setUp();
    const { info } = await client.create("fake", { name: "demo" });
    const controller = new AbortController();
    const reason = new Error("enough");
    vi.spyOn(backend, "getBox").mockImplementation(async () => {
      controller.abort(reason);
      return { ...info, status: "creating" };
    });
    expect(await failure(client.getOrCreate("demo", "fake", { signal: controller.signal }))).toBe(reason);
  });

  it("takes a box that somebody else starts meanwhile, and passes other failures on", async () => {
    const { backend, client } = setUp();
    const box = await client.create("fake", { name: "demo" });
    await box.stop();
    const start = vi.spyOn(backend, "startBox");
    start.mockImplementationOnce(async (id) => {
      await FakeBackend.prototype.startBox.call(backend, id);
      throw new BoxRunError("BOX_LOCKED", "box is in use by another process");
    });
    expect((await client.getOrCreate("demo", "fake")).info.status).toBe("running");
    await box.stop();
    const full = new BoxRunError("RESOURCE_EXCEEDED", "too much memory");
    start.mockRejectedValueOnce(full);
    expect(await failure(client.getOrCreate("demo", "fake"))).toBe(full);
  });

  it.each<[string, CreateOptions, RegExp]>([
    ["not a name", {}, /name/],
    ["demo", { name: "other" }, /the first argument/],
    ["demo", { memoryMb: -1 }, /memoryMb/],
    ["demo", { files: { a: "" } }, /absolute path, got "a"/],
  ])("refuses %j with %j before anything happens", async (name, options, message) => {
    const { client } = setUp();
    const error = await failure(client.getOrCreate(name, "fake", options));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR", message: expect.stringMatching(message) });
    expect(await client.listBoxes()).toEqual([]);
  });
});

describe("streams among the files", () => {
  const source = () => {
    const canceled = vi.fn();
    return { canceled, stream: new ReadableStream<Uint8Array>({ cancel: canceled }) };
  };

  it.each<[string, (client: BoxRunClient, stream: ReadableStream<Uint8Array>) => Promise<unknown>]>([
    [
      "create, when a path is wrong",
      (client, data) => client.create("fake", { files: { "/a": data, b: "" } }),
    ],
    [
      "create, when it is refused",
      (client, data) => client.create("fake", { name: "demo", files: { "/a": data } }),
    ],
    [
      "getOrCreate, when the box exists",
      (client, data) => client.getOrCreate("demo", "fake", { files: { "/a": { data } } }),
    ],
    ["run, when its box is refused", (client, stdin) => client.run("fake", "cat", { name: "demo", stdin })],
    [
      "run, when an option is wrong",
      (client, stdin) => client.run("fake", "cat", { stdni: "", stdin } as object),
    ],
  ])("are canceled by %s", async (_what, call) => {
    const { client } = setUp();
    await client.create("fake", { name: "demo" });
    const { canceled, stream } = source();
    await call(client, stream).catch(() => {});
    expect(canceled).toHaveBeenCalledOnce();
    expect(await client.listBoxes()).toHaveLength(1);
  });
});

it("a stream among the files is canceled though its object has lost it meanwhile", async () => {
  const { backend, client } = setUp();
  const canceled = vi.fn();
  const files: Record<string, ReadableStream<Uint8Array>> = {
    "/a": new ReadableStream({ cancel: canceled }),
  };
  vi.spyOn(backend, "createBox").mockImplementationOnce(async () => {
    delete files["/a"];
    throw new BoxRunError("RESOURCE_EXCEEDED", "too much memory");
  });
  expect(await failure(client.create("fake", { files }))).toMatchObject({ code: "RESOURCE_EXCEEDED" });
  expect(canceled).toHaveBeenCalledOnce();
});

describe("create with files", () => {
  it("writes what was checked, whatever becomes of the object meanwhile", async () => {
    const { backend, client } = setUp();
    const files: Record<string, string> = { "/a": "1" };
    const create = vi.spyOn(backend, "createBox");
    create.mockImplementationOnce(async (spec) => {
      delete files["/a"];
      files["b"] = "2";
      return FakeBackend.prototype.createBox.call(backend, spec);
    });
    const box = await client.create("fake", { files });
    expect(await box.files.read("/a", "utf-8")).toBe("1");
  });

  it("removes the box when a file cannot be written, and rejects with the reason", async () => {
    const full = new BoxRunError("STORAGE_FULL", "no room for /srv/a");
    const { client } = setUp({ upload: () => Promise.reject(full) });
    expect(await failure(client.create("fake", { files: { "/srv/a": "1" } }))).toBe(full);
    expect(await client.listBoxes()).toEqual([]);
  });

  it("removes the box when the signal aborts while files are written", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const upload = () => {
      controller.abort(reason);
      return new Promise<void>(() => {});
    };
    const { client } = setUp({ upload });
    const creating = client.create("fake", { files: { "/srv/a": "1" }, signal: controller.signal });
    expect(await failure(creating)).toBe(reason);
    await vi.waitFor(async () => expect(await client.listBoxes()).toEqual([]));
  });

  it("checks the files before it creates a box", async () => {
    const { backend, client } = setUp();
    const create = vi.spyOn(backend, "createBox");
    for (const files of [{ "a.py": "" }, { "/a": 5 as unknown as string }])
      expect(await failure(client.create("fake", { files }))).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(create).not.toHaveBeenCalled();
  });

  it("tells the backend nothing of them", async () => {
    const { backend, client } = setUp();
    const create = vi.spyOn(backend, "createBox");
    await client.create("fake", { files: { "/a": "1" } });
    expect(create.mock.calls[0]![0]).not.toHaveProperty("files");
  });
});
