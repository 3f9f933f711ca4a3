import { describe, expect, it } from "vitest";
import { BoxRunError } from "../../../src/backend/errors.js";
import { memoryVolume } from "../../../src/local/boxes/memory-volume.js";

const volume = () =>
  memoryVolume({
    "/src/main.py": "print(42)",
    "/bin/run": { data: new Uint8Array([1, 2]), mode: 0o755 },
  });

async function failureOf(work: () => unknown): Promise<BoxRunError & { cause?: { code?: string } }> {
  try {
    await work();
  } catch (error) {
    if (error instanceof BoxRunError) return error as never;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("a volume in memory", () => {
  it("begins with its files, as text and as bytes", async () => {
    const { files } = volume();
    expect(await files.read("/src/main.py", "utf8")).toBe("print(42)");
    expect(await files.read("/bin/run")).toEqual(new Uint8Array([1, 2]));
    expect(await files.stat("/bin/run")).toMatchObject({ type: "file", size: 2, mode: 0o755, uid: 0 });
    expect((await files.list("/")).map(({ name, type }) => [name, type])).toEqual([
      ["bin", "directory"],
      ["src", "directory"],
    ]);
  });

  it("writes, moves and removes files as box.files does", async () => {
    const { files } = volume();
    await files.write("/a/b/c.txt", "one");
    await files.writeAll({ "/a/b/d.txt": "two", "/a/e": { data: new ArrayBuffer(3), mode: 0o600 } });
    expect(await files.lstat("/a/e")).toMatchObject({ size: 3, mode: 0o600 });
    await files.write("/bin/run", "three");
    expect(await files.stat("/bin/run")).toMatchObject({ size: 5, mode: 0o755 });
    await files.mkdir("/x/y", { recursive: true, mode: 0o700 });
    await files.mkdir("/x/y", { recursive: true });
    await files.rename("/a/b", "/x/y/b");
    expect((await files.list("/x/y/b")).map(({ name }) => name)).toEqual(["c.txt", "d.txt"]);
    await files.remove("/x", { recursive: true });
    await files.remove("/x", { force: true });
    expect(await files.exists("/x")).toBe(false);
    expect(await files.exists("/a")).toBe(true);
  });

  it.each<[string, (files: ReturnType<typeof volume>["files"]) => unknown, string, string | undefined]>([
    ["a missing file", (files) => files.read("/none"), "RUNTIME_ERROR", "ENOENT"],
    ["a directory as a file", (files) => files.read("/src"), "RUNTIME_ERROR", "EISDIR"],
    ["a file as a directory", (files) => files.list("/src/main.py"), "RUNTIME_ERROR", "ENOTDIR"],
    ["a directory that exists", (files) => files.mkdir("/src"), "RUNTIME_ERROR", "EEXIST"],
    ["a full directory", (files) => files.rename("/bin", "/src"), "RUNTIME_ERROR", "ENOTEMPTY"],
    ["a removal of nothing", (files) => files.remove("/none"), "RUNTIME_ERROR", "ENOENT"],
    ["a path above the root", (files) => files.read("/../etc/passwd"), "RUNTIME_ERROR", "EXDEV"],
    ["a relative path", (files) => files.read("src"), "VALIDATION_ERROR", undefined],
    ["an encoding", (files) => files.read("/a", "latin1" as never), "VALIDATION_ERROR", undefined],
    ["contents", (files) => files.write("/a", 7 as never), "VALIDATION_ERROR", undefined],
    ["a mode", (files) => files.write("/a", "", { mode: -1 }), "VALIDATION_ERROR", undefined],
    ["a flag", (files) => files.mkdir("/a", { recursive: "yes" as never }), "VALIDATION_ERROR", undefined],
    ["an option", (files) => files.mkdir("/a", { recursiv: true } as never), "VALIDATION_ERROR", undefined],
    ["a signal", (files) => files.watch({ signal: 7 as never }), "VALIDATION_ERROR", undefined],
  ])("refuses %s", async (_, work, code, errno) => {
    const error = await failureOf(() => work(volume().files));
    expect(error.code).toBe(code);
    expect(error.cause?.code).toBe(errno);
  });

  it.each([
    ["null", null],
    ["string", "print(42)"],
    ["array", []],
    ["object", new Map([["/main.py", "print(42)"]])],
    ["object", new Uint8Array(1)],
  ])("begins with an object of files, and no %s", async (what, files) => {
    const message = `the files of a volume must be an object such as { "/main.py": "print(42)" }, got ${what}`;
    const error = await failureOf(() => memoryVolume(files as never));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR", message: expect.stringContaining(message) });
  });

  it("writes all files or none when one of them cannot be", async () => {
    const { files } = volume();
    const error = await failureOf(() => files.writeAll({ "/first": "1", "/second": 2 as never }));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR", message: expect.stringContaining("/second") });
    expect(await files.exists("/first")).toBe(false);
  });

  it("is full when its contents have no room, and keeps what it has", async () => {
    const { files } = memoryVolume({ "/a": "before" }, { maxBytes: 10, maxFiles: 3 });
    const full = await failureOf(() => files.write("/a", "x".repeat(11)));
    expect(full).toMatchObject({ code: "STORAGE_FULL", cause: { code: "ENOSPC" } });
    expect(await files.read("/a", "utf8")).toBe("before");
    expect(await failureOf(() => memoryVolume({ "/a": "xx" }, { maxBytes: 1 }))).toMatchObject({
      code: "STORAGE_FULL",
    });
  });

  it.each([[{ maxBytes: 0 }], [{ maxFiles: 1.5 }], [{ maxSize: 1 } as never]])(
    "refuses the options %j",
    async (options) => {
      expect((await failureOf(() => memoryVolume({}, options))).code).toBe("VALIDATION_ERROR");
    },
  );
});

describe("a watch of a volume in memory", () => {
  it("has all changes since it was asked for, with paths as text", async () => {
    const { files } = volume();
    const watch = files.watch();
    await files.write("/ä", "1");
    await files.rename("/ä", "/ö");
    await files.remove("/ö");
    const seen = [];
    for await (const event of watch) {
      seen.push(event);
      if (event.type === "removed") break;
    }
    expect(seen).toEqual([
      { type: "created", path: "/ä" },
      { type: "changed", path: "/ä" },
      { type: "renamed", path: "/ö", from: "/ä" },
      { type: "removed", path: "/ö" },
    ]);
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  it("reports that it has lost changes when nobody reads them", async () => {
    const { files } = volume();
    const watch = files.watch();
    for (let i = 0; i < 5000; i++) await files.mkdir(`/${i}`);
    expect((await watch.next()).value).toEqual({ type: "overflow", path: "/" });
    expect((await watch.next()).value).toEqual({ type: "created", path: "/4096" });
  });

  it("ends with its signal, whose reason it rejects with", async () => {
    const life = new AbortController();
    const watch = volume().files.watch({ signal: life.signal });
    const next = watch.next();
    life.abort(new Error("enough"));
    await expect(next).rejects.toThrow("enough");
    expect(() => volume().files.watch({ signal: life.signal })).not.toThrow();
  });
});
