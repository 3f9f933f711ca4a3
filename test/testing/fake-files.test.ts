import { describe, expect, it } from "vitest";
import { BoxRunClient } from "../../src/index.js";
import { createHandler } from "../../src/server/handler.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import type { FakeProcess } from "../../src/testing/fake-execution.js";

/** A program that leaves a file, as a compiler would. */
const cc = ({ files }: FakeProcess) =>
  void files.set("/out/bin/app", { bytes: new Uint8Array(3), mode: 0o755 });

const direct = () => new BoxRunClient({ backend: new FakeBackend({ programs: { cc } }) });
const overHttp = () =>
  new BoxRunClient({
    backend: "remote",
    baseUrl: "http://boxrun.internal",
    fetch: createHandler(new FakeBackend({ programs: { cc } })),
  });

describe.each([
  ["a fake backend", direct],
  ["a fake backend behind a handler", overHttp],
])("box.files on %s", (_name, createClient) => {
  const code = async (call: Promise<unknown>) => (await failure(call)).cause as { code?: string };
  const create = async () => {
    const box = await createClient().create("fake");
    const names = async (path: string) => (await box.files.list(path)).map(({ name }) => name);
    return { box, files: box.files, names };
  };

  it("sees what was written, and what a program left", async () => {
    const { box, files, names } = await create();
    await files.write("/srv/a/file", "12345", { mode: 0o600 });
    expect(await files.stat("/srv/a/file")).toMatchObject({ type: "file", size: 5, mode: 0o600, uid: 0 });
    expect(Date.now() - (await files.stat("/srv/a/file")).modifiedAt.getTime()).toBeLessThan(60_000);
    expect(await files.stat("/srv")).toMatchObject({ type: "directory", mode: 0o755 });
    expect(await files.stat("/")).toMatchObject({ type: "directory" });
    await box.exec(["cc"]);
    expect(await names("/")).toEqual(["out", "srv"]);
    expect(await names("/out")).toEqual(["bin"]);
    expect(await files.lstat("/out/bin/app")).toMatchObject({ size: 3, mode: 0o755 });
    expect(await files.exists("/out/bin/none")).toBe(false);
    expect(await box.executions()).toHaveLength(1);
  });

  it("keeps the mode of a file that is there, unless one is given, and tells it", async () => {
    const { box, files } = await create();
    await files.write("/run", "", { mode: 0o750 });
    await files.write("/run", "x");
    expect(await files.stat("/run")).toMatchObject({ size: 1, mode: 0o750 });
    await files.write("/run", "", { mode: 0o600 });
    expect(await files.stat("/run")).toMatchObject({ mode: 0o600 });
    expect(await failure(files.stat("/\ud800"))).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await failure(box.upload(new Uint8Array(1), "/\udc00"))).toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  it("makes directories, which stay when they are empty", async () => {
    const { files, names } = await create();
    expect(await code(files.mkdir("/a/b"))).toMatchObject({ code: "ENOENT" });
    await files.mkdir("/a/b", { recursive: true, mode: 0o700 });
    await files.mkdir("/a/b", { recursive: true });
    expect(await files.stat("/a/b")).toMatchObject({ mode: 0o700 });
    expect(await code(files.mkdir("/a/b"))).toMatchObject({ code: "EEXIST" });
    await files.write("/c/file", "");
    await files.remove("/c/file");
    expect(await names("/c")).toEqual([]);
    expect(await code(files.remove("/c"))).toMatchObject({ code: "EISDIR" });
    expect(await code(files.remove("/c/file"))).toMatchObject({ code: "ENOENT" });
    await files.remove("/c/file", { force: true });
  });

  it("renames files and whole directories, in place of what is there", async () => {
    const { files, names } = await create();
    await files.write("/a/dir/deep/file", "1");
    await files.write("/a/plain", "2");
    await files.mkdir("/a/empty");
    await files.rename("/a/dir", "/a/empty");
    expect(await names("/a")).toEqual(["empty", "plain"]);
    expect(await files.read("/a/empty/deep/file", "utf8")).toBe("1");
    await files.rename("/a/plain", "/a/empty/deep/file");
    await files.rename("/a/empty/deep/file", "/a/empty/deep/file");
    expect(await files.read("/a/empty/deep/file", "utf8")).toBe("2");
    await files.mkdir("/a/other");
    await files.write("/a/plain", "3");
    for (const [from, to, expected] of [
      ["/a/plain", "/a/other", "EISDIR"],
      ["/a/other", "/a/plain", "ENOTDIR"],
      ["/a/other", "/a/empty", "ENOTEMPTY"],
      ["/a/empty", "/a/empty/deep/x", "EINVAL"],
      ["/a/none", "/a/x", "ENOENT"],
      ["/a/plain", "/a/none/x", "ENOENT"],
      ["/a/plain", "/a/plain/x", "ENOTDIR"],
    ] as const)
      expect(await code(files.rename(from, to))).toMatchObject({ code: expected });
  });

  it("tells a file above a path, and a directory in its place", async () => {
    const { files } = await create();
    await files.write("/file", "");
    for (const call of [
      files.stat("/file/x"),
      files.list("/file"),
      files.mkdir("/file/x/y", { recursive: true }),
      files.write("/file/x", ""),
    ])
      expect(await code(call)).toMatchObject({ code: "ENOTDIR" });
    await files.mkdir("/dir");
    expect(await code(files.write("/dir", ""))).toMatchObject({ code: "EISDIR" });
    expect(await code(files.read("/none"))).toMatchObject({ code: "ENOENT" });
  });

  it("takes any name, as text and as bytes", async () => {
    const { files } = await create();
    const names = ["a b", "new\nline", "größe-文", "-dash", "..x", "quo'te\"", "\u{1f600}"];
    for (const name of names) await files.write(`/größe/${name}`, name);
    expect((await files.list("/größe")).map(({ name }) => name)).toEqual([...names].sort());
    const bytes = Uint8Array.of(...new TextEncoder().encode("/größe/"), 255, 10, 254);
    await files.rename("/größe/-dash", bytes);
    expect(await files.stat(bytes)).toMatchObject({ size: 5 });
    const odd = (await files.list("/größe")).find(({ nameBytes }) => nameBytes[0] === 255);
    expect(odd).toMatchObject({ name: "\ufffd\n\ufffd", nameBytes: Uint8Array.of(255, 10, 254) });
    await files.remove(bytes);
    expect(await files.exists(bytes)).toBe(false);
    expect(await files.exists("/größe/../größe/./a b//")).toBe(true);
  });

  it("refuses a signal that has aborted, and a box that is stopped", async () => {
    const { box, files } = await create();
    const reason = new Error("enough");
    expect(await failure(files.stat("/", { signal: AbortSignal.abort(reason) }))).toBe(reason);
    await box.stop();
    expect(await failure(files.stat("/"))).toMatchObject({ code: "BOX_NOT_RUNNING" });
  });
});
