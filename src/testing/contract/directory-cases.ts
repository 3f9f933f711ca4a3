import type { Context } from "./target.js";
import { failure, pattern, sha256 } from "./tools.js";

/** Cases for `box.files`. Each works below a directory of its own. */
export function directoryCases(context: Context): void {
  const { it, expect } = context;
  const files = () => context.box.files;
  const names = async (path: string) => (await files().list(path)).map(({ name }) => name);
  const NAMES = [
    "a b",
    "quo'te\"",
    "new\nline",
    "ends\n",
    "größe-文",
    "-dash",
    "$(echo x)",
    "*",
    "\\",
    ".hidden",
    "..x",
    "\n81a4 1 2 3 4 x",
    "100%s\\n",
  ];

  it("reads and writes files, as bytes and as text", async () => {
    await files().write("/srv/rw/text", "größe");
    expect(await files().read("/srv/rw/text", "utf8")).toBe("größe");
    expect(await files().read("/srv/rw/text", "utf-8")).toBe("größe");
    expect(await files().read("/srv/rw/text")).toEqual(new TextEncoder().encode("größe"));
    await files().write("/srv/rw/run", new Blob(["#!/bin/sh\necho ran"]), { mode: 0o750 });
    expect((await context.box.exec(["/srv/rw/run"])).stdout).toBe("ran\n");
    expect((await failure(files().read("/srv/rw/none"))).message).toContain("/srv/rw/none");
  });

  it("writes several files at once, with their modes", async () => {
    const many = Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [`/srv/all/${i}/file`, `file ${i}`]),
    );
    await files().writeAll({
      ...many,
      "/srv/all/bytes": Uint8Array.of(0, 255),
      "/srv/all/run": { data: "#!/bin/sh\necho ran", mode: 0o750 },
    });
    expect((await context.box.exec("/srv/all/run; cat /srv/all/7/file; ls /srv/all | wc -l")).stdout).toBe(
      "ran\nfile 722\n",
    );
    expect(await files().read("/srv/all/bytes")).toEqual(Uint8Array.of(0, 255));
    await files().writeAll({});
  });

  it("names the file of several that cannot be written", async () => {
    const error = await failure(files().writeAll({ "/srv/some/a": "1", "/etc/passwd/x": "2" }));
    expect(error).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(error.message).toContain("/etc/passwd/x");
  });

  it("lists what is in a directory, links and hidden files too", async () => {
    await files().write("/srv/ls/file", "12345", { mode: 0o640 });
    await files().mkdir("/srv/ls/sub");
    await context.box.exec("ln -s nowhere /srv/ls/link; touch -d '2020-01-02 03:04:05' /srv/ls/file", {
      env: { TZ: "UTC" },
    });
    const entries = await files().list("/srv/ls");
    expect(entries.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "file file",
      "link symlink",
      "sub directory",
    ]);
    expect(entries[0]).toMatchObject({ size: 5, mode: 0o640, uid: 0, gid: 0 });
    expect(entries[0]!.modifiedAt).toEqual(new Date("2020-01-02T03:04:05Z"));
    expect(await files().list("/srv/ls/sub")).toEqual([]);
  });

  it("tells what a file is, and what a link is", async () => {
    await files().write("/srv/stat/file", "123");
    await context.box.exec("ln -s file /srv/stat/link; ln -s none /srv/stat/broken");
    expect(await files().stat("/srv/stat/link")).toMatchObject({ type: "file", size: 3, mode: 0o644 });
    expect(await files().lstat("/srv/stat/link")).toMatchObject({ type: "symlink" });
    expect(await files().stat("/srv/stat/")).toMatchObject({ type: "directory", mode: 0o755 });
    expect(await files().stat("/")).toMatchObject({ type: "directory" });
    expect(await files().stat("/dev/null")).toMatchObject({ type: "other" });
    expect(await files().exists("/srv/stat/broken")).toBe(true);
    expect(await files().exists("/srv/stat/none")).toBe(false);
    expect(await failure(files().stat("/srv/stat/broken"))).toMatchObject({
      code: "RUNTIME_ERROR",
      cause: { code: "ENOENT" },
    });
  });

  it("makes directories", async () => {
    expect(await failure(files().mkdir("/srv/mk/a/b"))).toMatchObject({ cause: { code: "ENOENT" } });
    await files().mkdir("/srv/mk/a/b", { recursive: true, mode: 0o700 });
    await files().mkdir("/srv/mk/a/b", { recursive: true });
    expect(await files().stat("/srv/mk/a/b")).toMatchObject({ type: "directory", mode: 0o700 });
    expect(await failure(files().mkdir("/srv/mk/a"))).toMatchObject({ cause: { code: "EEXIST" } });
    await files().write("/srv/mk/file", "");
    for (const recursive of [true, false])
      expect(await failure(files().mkdir("/srv/mk/file", { recursive }))).toMatchObject({
        cause: { code: "EEXIST" },
      });
    await files().mkdir("/srv/mk/open", { mode: 0o1777 });
    expect(await files().stat("/srv/mk/open")).toMatchObject({ mode: 0o1777 });
  });

  it("renames files and directories, in place of what is there", async () => {
    await files().write("/srv/mv/dir/file", "1");
    await files().write("/srv/mv/other", "2");
    await files().rename("/srv/mv/other", "/srv/mv/dir/file");
    expect(await files().read("/srv/mv/dir/file", "utf8")).toBe("2");
    await files().mkdir("/srv/mv/empty");
    await files().rename("/srv/mv/dir", "/srv/mv/empty");
    expect(await names("/srv/mv")).toEqual(["empty"]);
    expect(await names("/srv/mv/empty")).toEqual(["file"]);
    await files().write("/srv/mv/plain", "");
    expect(await failure(files().rename("/srv/mv/plain", "/srv/mv/empty"))).toMatchObject({
      cause: { code: "EISDIR" },
    });
    expect(await failure(files().rename("/srv/mv/empty", "/srv/mv/plain"))).toMatchObject({
      cause: { code: "ENOTDIR" },
    });
    await files().mkdir("/srv/mv/second");
    expect(await failure(files().rename("/srv/mv/second", "/srv/mv/empty"))).toMatchObject({
      cause: { code: "ENOTEMPTY" },
    });
    expect(await failure(files().rename("/srv/mv/none", "/srv/mv/x"))).toMatchObject({
      cause: { code: "ENOENT" },
    });
    await context.box.exec("ln -s /srv/mv/second /srv/mv/to-dir");
    await files().rename("/srv/mv/plain", "/srv/mv/to-dir");
    expect(await files().lstat("/srv/mv/to-dir")).toMatchObject({ type: "file" });
  });

  it("renames links themselves, also to the name they have", async () => {
    await files().mkdir("/srv/mv-links/dir", { recursive: true });
    await context.box.exec("ln -s dir /srv/mv-links/one");
    await files().rename("/srv/mv-links/one", "/srv/mv-links/one");
    await files().rename("/srv/mv-links/one", "/srv/mv-links/two");
    expect(await files().lstat("/srv/mv-links/two")).toMatchObject({ type: "symlink" });
    expect(await failure(files().rename("/srv/mv-links/dir", "/srv/mv-links/two"))).toMatchObject({
      cause: { code: "ENOTDIR" },
    });
    expect(await names("/srv/mv-links")).toEqual(["dir", "two"]);
  });

  it("renames from one file system to another, and what the image has", async () => {
    await files().write("/dev/shm/mv-fs/file", "1", { mode: 0o640 });
    await files().rename("/dev/shm/mv-fs", "/srv/mv-fs");
    expect(await files().exists("/dev/shm/mv-fs")).toBe(false);
    expect(await files().stat("/srv/mv-fs/file")).toMatchObject({ size: 1, mode: 0o640 });
    await files().rename("/srv/mv-fs/file", "/dev/shm/mv-fs-file");
    expect(await files().read("/dev/shm/mv-fs-file", "utf8")).toBe("1");
    await files().rename("/var/log", "/srv/mv-fs/log");
    expect(await files().exists("/var/log")).toBe(false);
  });

  it("removes files, and directories when told so, and never what a link leads to", async () => {
    await files().write("/srv/rm/dir/deep/file", "1");
    await context.box.exec("ln -s dir /srv/rm/link");
    expect(await failure(files().remove("/srv/rm/dir"))).toMatchObject({ cause: { code: "EISDIR" } });
    await files().remove("/srv/rm/link", { recursive: true });
    expect(await files().exists("/srv/rm/dir/deep/file")).toBe(true);
    await files().remove("/srv/rm/dir", { recursive: true });
    expect(await names("/srv/rm")).toEqual([]);
    expect(await failure(files().remove("/srv/rm/dir"))).toMatchObject({ cause: { code: "ENOENT" } });
    await files().remove("/srv/rm/dir", { force: true });
  });

  it("copies files, and directories when told so", async () => {
    await files().write("/srv/cp/from/file", "1", { mode: 0o751 });
    await context.box.exec("ln -s file /srv/cp/from/link");
    await files().copy("/srv/cp/from/file", "/srv/cp/new/dir/file");
    expect(await files().stat("/srv/cp/new/dir/file")).toMatchObject({ mode: 0o751, size: 1 });
    expect(await failure(files().copy("/srv/cp/from", "/srv/cp/to"))).toMatchObject({
      cause: { code: "EISDIR" },
    });
    await files().copy("/srv/cp/from", "/srv/cp/to", { recursive: true });
    expect((await files().list("/srv/cp/to")).map(({ name, type }) => `${name} ${type}`)).toEqual([
      "file file",
      "link symlink",
    ]);
    await files().write("/srv/cp/to/extra", "");
    await files().copy("/srv/cp/from", "/srv/cp/to", { recursive: true });
    expect(await names("/srv/cp/to")).toEqual(["extra", "file", "link"]);
    expect(await failure(files().copy("/srv/cp/from/file", "/srv/cp/to"))).toMatchObject({
      cause: { code: "EISDIR" },
    });
  });

  it("says what is wrong when what is above a path is no directory", async () => {
    await files().write("/srv/above/file", "");
    const wrong = [
      files().stat("/srv/above/file/x"),
      files().lstat("/srv/above/file/x/y"),
      files().list("/srv/above/file/x"),
      files().mkdir("/srv/above/file/x"),
      files().mkdir("/srv/above/file/x/y", { recursive: true }),
      files().rename("/srv/above/file", "/srv/above/file/x"),
      files().remove("/srv/above/file/x"),
    ];
    for (const call of wrong.map(failure))
      expect(await call).toMatchObject({ code: "RUNTIME_ERROR", cause: { code: "ENOTDIR" } });
    expect(await files().exists("/srv/above/file/x")).toBe(false);
    await files().remove("/srv/above/file/x", { force: true });
  });

  it("says what is wrong with the path of a list", async () => {
    expect(await failure(files().list("/srv/none"))).toMatchObject({ cause: { code: "ENOENT" } });
    expect(await failure(files().list("/etc/passwd"))).toMatchObject({ cause: { code: "ENOTDIR" } });
    for (const path of ["relative", "", "/a\0b"])
      expect(await failure(files().list(path))).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("is safe with any name, through every call", async () => {
    for (const name of NAMES) {
      await files().write("/srv/names/from/x", name);
      const path = `/srv/names/dir/${name}`;
      await files().mkdir("/srv/names/dir", { recursive: true });
      await files().rename("/srv/names/from/x", path);
      expect((await files().stat(path)).size).toBe(new TextEncoder().encode(name).byteLength);
      await files().copy(path, `${path}.copy`);
      await files().remove(path);
      expect(await files().exists(path)).toBe(false);
    }
    expect(await names("/srv/names/dir")).toEqual(NAMES.map((name) => `${name}.copy`).sort());
  });

  it("takes names that are no UTF-8 as bytes", async () => {
    const path = Uint8Array.of(...new TextEncoder().encode("/srv/bytes/"), 255, 10, 254);
    await files().mkdir("/srv/bytes", { recursive: true });
    await context.box.exec("printf contents > /srv/bytes/plain");
    await files().rename("/srv/bytes/plain", path);
    const [entry] = await files().list("/srv/bytes");
    expect(entry).toMatchObject({ name: "\ufffd\n\ufffd", nameBytes: Uint8Array.of(255, 10, 254), size: 8 });
    expect(await files().read(path, "utf8")).toBe("contents");
    await files().write(path, "other");
    expect(await files().stat(path)).toMatchObject({ size: 5 });
    await files().remove(path);
    expect(await names("/srv/bytes")).toEqual([]);
  });

  it("lists a directory of thousands", async () => {
    await context.box.exec("mkdir -p /srv/many && cd /srv/many && seq 3000 | xargs touch", { check: true });
    const entries = await files().list("/srv/many");
    expect(entries).toHaveLength(3000);
    expect(new Set(entries.map(({ name }) => name)).size).toBe(3000);
  });

  it("gives up a list when its signal aborts, and goes on", async () => {
    await context.box.exec("mkdir -p /srv/given-up && cd /srv/given-up && seq 500 | xargs touch", {
      check: true,
    });
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const listing = failure(files().list("/srv/given-up", { signal: controller.signal }));
    controller.abort(reason);
    expect(await listing).toBe(reason);
    expect(await failure(files().remove("/srv/given-up/1", { signal: controller.signal }))).toBe(reason);
    expect(await files().exists("/srv/given-up/1")).toBe(true);
    expect(await names("/srv/given-up")).toHaveLength(500);
  });

  it("does what takes a moment without a command in the box", async () => {
    const before = await context.box.executions();
    await files().mkdir("/srv/native/a/b", { recursive: true });
    await files().write("/srv/native/file", "1");
    await files().rename("/srv/native/file", "/srv/native/a/file");
    expect((await files().stat("/srv/native/a/file")).size).toBe(1);
    expect(await files().exists("/srv/native/none")).toBe(false);
    expect(await names("/srv/native/a")).toEqual(["b", "file"]);
    await files().remove("/srv/native/a/file");
    expect(await context.box.executions()).toHaveLength(before.length);
  });

  it("tells a link in a circle from one to nothing", async () => {
    await files().mkdir("/srv/circle");
    await context.box.exec("ln -s circle /srv/circle/circle");
    expect(await failure(files().stat("/srv/circle/circle"))).toMatchObject({ cause: { code: "ELOOP" } });
    expect(await failure(files().list("/srv/circle/circle"))).toMatchObject({ cause: { code: "ELOOP" } });
  });

  it("moves directories as archives", async () => {
    const bytes = pattern(3_000_000);
    await files().write("/srv/tar/from/deep/big", bytes);
    await files().write("/srv/tar/from/run", "#!/bin/sh", { mode: 0o755 });
    await context.box.exec("ln -s run /srv/tar/from/link");
    const archive = await new Response(await files().pack("/srv/tar/from")).blob();
    expect(archive.size).toBeGreaterThan(3_000_000);
    await files().unpack(archive, "/srv/tar/to/new");
    expect(
      (await files().list("/srv/tar/to/new")).map(
        ({ name, type, mode }) => `${name} ${type} ${mode & 0o100}`,
      ),
    ).toEqual(["deep directory 64", "link symlink 64", "run file 64"]);
    expect(await sha256(await files().read("/srv/tar/to/new/deep/big"))).toBe(await sha256(bytes));
    // Not with a Response: in Chromium it loses the error of its stream.
    const none = (await files().pack("/srv/none")).getReader();
    expect(await failure(none.read())).toMatchObject({ cause: { code: "ENOENT" } });
    expect(
      await failure(files().unpack(new Blob(["no archive at all, but longer than nothing"]), "/srv/tar/x")),
    ).toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });
}
