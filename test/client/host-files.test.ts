import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import files, { type FileHandle } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type BoxHandle, BoxRunClient } from "../../src/index.js";
import { failure, pattern } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import { deferred } from "../../src/util/deferred.js";

let folder: string;
let box: BoxHandle;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-local-"));
  box = await new BoxRunClient({ backend: new FakeBackend() }).create("fake");
  await box.files.write("/f", "from the box");
  await box.files.write("/run", "#!/bin/sh\n", { mode: 0o4755 });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const at = (name: string) => join(folder, name);
const modeOf = (name: string) => statSync(at(name)).mode & 0o7777;
const isRoot = process.getuid?.() === 0;
const errno = (code: string) => Object.assign(new Error(code), { code });
const hasFifos = process.platform !== "win32";

describe("a download to a path", () => {
  it("gives a new file the mode of the one in the box, as the umask lets it", async () => {
    await box.download("/run", at("new/run"));
    await box.download("/f", at("f"));
    const umask = process.umask();
    expect(modeOf("new/run")).toBe(0o755 & ~umask);
    expect(modeOf("f")).toBe(0o644 & ~umask);
    expect(readdirSync(folder).sort()).toEqual(["f", "new"]);
  });

  it("asks a command where a download does not tell the mode", async () => {
    const backend = new FakeBackend();
    const { download } = backend;
    backend.download = async (...args) => {
      const { mode: _, ...told } = await download.apply(backend, args);
      return told;
    };
    const silent = await new BoxRunClient({ backend }).create("fake");
    await silent.files.write("/run", "", { mode: 0o700 });
    await silent.download("/run", at("run"));
    expect(modeOf("run")).toBe(0o700);
  });

  it.each([0o600, 0o755])("replaces a file whole and keeps its mode %o", async (mode) => {
    writeFileSync(at("kept"), "old");
    chmodSync(at("kept"), mode);
    linkSync(at("kept"), at("other"));
    await box.download("/run", at("kept"));
    expect(readFileSync(at("kept"), "utf8")).toBe("#!/bin/sh\n");
    expect(modeOf("kept")).toBe(mode);
    expect(readFileSync(at("other"), "utf8")).toBe("old");
    expect(readdirSync(folder).sort()).toEqual(["kept", "other"]);
  });

  it.skipIf(!isRoot)("keeps the owner", async () => {
    writeFileSync(at("theirs"), "old");
    chownSync(at("theirs"), 1234, 4321);
    chmodSync(at("theirs"), 0o6750);
    await box.download("/f", at("theirs"));
    expect(statSync(at("theirs"))).toMatchObject({ uid: 1234, gid: 4321 });
    expect(modeOf("theirs")).toBe(0o6750);
  });

  it("follows links, and makes what one leads to that leads nowhere", async () => {
    mkdirSync(at("there"));
    writeFileSync(at("there/target"), "old");
    symlinkSync("there/target", at("one"));
    symlinkSync(at("one"), at("two"));
    symlinkSync("made/later", at("dangling"));
    await box.download("/f", at("two"));
    await box.download("/f", at("dangling"));
    expect([readlinkSync(at("one")), readlinkSync(at("dangling"))]).toEqual(["there/target", "made/later"]);
    expect(lstatSync(at("two")).isSymbolicLink()).toBe(true);
    expect(readFileSync(at("there/target"), "utf8")).toBe("from the box");
    expect(readFileSync(at("made/later"), "utf8")).toBe("from the box");
    expect(readdirSync(folder).sort()).toEqual(["dangling", "made", "one", "there", "two"]);
    symlinkSync("loop", at("loop"));
    expect(await failure(box.download("/f", at("loop")))).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("writes into a device, and leaves it one", async () => {
    await box.download("/f", "/dev/null");
    expect(lstatSync("/dev/null").isCharacterDevice()).toBe(true);
    const error = await failure(box.download("/f", "/dev/full"));
    expect(error).toMatchObject({ code: "STORAGE_FULL" });
    expect(error.message).toMatch(/\/dev\/full in place \(it may be partly written\)/);
  });

  it.skipIf(!isRoot || process.platform !== "linux")(
    "writes into a file that is a mount",
    async (context) => {
      writeFileSync(at("source"), "something longer");
      writeFileSync(at("mount"), "");
      try {
        execFileSync("mount", ["--bind", at("source"), at("mount")], { stdio: "ignore" });
      } catch {
        context.skip("mounts are not allowed here");
      }
      try {
        await box.download("/f", at("mount"));
        expect(readFileSync(at("source"), "utf8")).toBe("from the box");
        expect(readdirSync(folder).sort()).toEqual(["mount", "source"]);
      } finally {
        execFileSync("umount", [at("mount")]);
      }
    },
  );

  it("refuses a directory, and a socket", async () => {
    expect((await failure(box.download("/f", folder))).message).toMatch(/is a directory/);
    expect((await failure(box.download("/f", "/proc/no-folder/x"))).message).toMatch(/ENOENT/);
    const server = createServer().listen(at("socket"));
    await once(server, "listening");
    const error = await failure(box.download("/f", at("socket")));
    server.close();
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toMatch(/is a socket/);
  });

  describe.skipIf(!hasFifos)("that is a FIFO", () => {
    beforeEach(() => execFileSync("mkfifo", [at("fifo")]));

    it("gives its reader all, however slow that is, and however late it comes", async () => {
      const bytes = pattern(1_000_000);
      await box.files.write("/big", bytes);
      const saved = box.download("/big", at("fifo"));
      const reader = spawn("cat", [at("fifo")], { stdio: ["ignore", "pipe", "ignore"] });
      const parts: Buffer[] = [];
      for await (const part of reader.stdout) parts.push(part);
      await saved;
      expect(Buffer.concat(parts).equals(Buffer.from(bytes))).toBe(true);
      expect(lstatSync(at("fifo")).isFIFO()).toBe(true);
    });

    it("gives all to a reader that takes a little now and then", async () => {
      const bytes = pattern(300_000);
      await box.files.write("/big", bytes);
      const fd = openSync(at("fifo"), constants.O_RDWR | constants.O_NONBLOCK);
      const saved = box.download("/big", at("fifo"));
      const got: Buffer[] = [];
      for (let left = bytes.byteLength; left > 0; ) {
        await new Promise((resolve) => setImmediate(resolve));
        const piece = Buffer.alloc(1000);
        try {
          got.push(piece.subarray(0, readSync(fd, piece)));
          left -= got.at(-1)!.byteLength;
        } catch (error) {
          if ((error as { code?: string }).code !== "EAGAIN") throw error;
        }
      }
      await saved;
      closeSync(fd);
      expect(Buffer.concat(got).equals(Buffer.from(bytes))).toBe(true);
    });

    it.each(["nobody reads", "somebody holds, and does not read"])(
      "and %s is given up when the signal aborts",
      async (who) => {
        const fd =
          who === "nobody reads" ? undefined : openSync(at("fifo"), constants.O_RDWR | constants.O_NONBLOCK);
        await box.files.write("/big", pattern(1_000_000));
        const controller = new AbortController();
        const reason = new Error("enough");
        const saved = failure(box.download("/big", at("fifo"), { signal: controller.signal }));
        await new Promise((resolve) => setImmediate(resolve));
        controller.abort(reason);
        expect(await saved).toBe(reason);
        if (fd !== undefined) closeSync(fd);
        expect(lstatSync(at("fifo")).isFIFO()).toBe(true);
      },
    );

    it("and whose reader leaves, is an error", async () => {
      const fd = openSync(at("fifo"), constants.O_RDONLY | constants.O_NONBLOCK);
      await box.files.write("/big", pattern(1_000_000));
      let asked = 0;
      const saved = failure(
        box.download("/big", at("fifo"), { onProgress: () => asked++ === 0 && closeSync(fd) }),
      );
      expect((await saved).message).toMatch(/EPIPE|no reader opened/);
    });
  });

  it("leaves what is there when its source fails", async () => {
    writeFileSync(at("old"), "old");
    const backend = new FakeBackend();
    const reason = new Error("the line was cut");
    backend.download = async () => {
      let pulls = 0;
      const stream = new ReadableStream<Uint8Array>({
        pull: (controller) => (pulls++ ? controller.error(reason) : controller.enqueue(new Uint8Array(9))),
      });
      return { size: 100, mode: 0o644, stream };
    };
    const failing = await new BoxRunClient({ backend }).create("fake");
    for (const name of ["old", "none"]) expect(await failure(failing.download("/f", at(name)))).toBe(reason);
    expect(readFileSync(at("old"), "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["old"]);
  });

  it.each(["replaced", "written in place"])(
    "leaves what is there when its signal aborts before the first byte, and it would be %s",
    async (how) => {
      writeFileSync(at("old"), "old");
      const real = files.open;
      const opened: FileHandle[] = [];
      vi.spyOn(files, "open").mockImplementation(async (path, flags, mode) => {
        if (flags === "wx" && how === "written in place") throw errno("EACCES");
        opened.push(await real(path, flags, mode));
        return opened.at(-1)!;
      });
      const asked = deferred();
      const canceled = deferred();
      const backend = new FakeBackend();
      backend.download = async () => {
        const stream = new ReadableStream<Uint8Array>(
          {
            pull: () => {
              asked.resolve();
              return new Promise(() => {});
            },
            cancel: () => canceled.resolve(),
          },
          { highWaterMark: 0 },
        );
        return { size: null, mode: 0o644, stream };
      };
      const silent = await new BoxRunClient({ backend }).create("fake");
      const controller = new AbortController();
      const reason = new Error("enough");
      const saved = failure(silent.download("/f", at("old"), { signal: controller.signal }));
      await asked.promise;
      controller.abort(reason);
      expect(await saved).toBe(reason);
      await canceled.promise;
      await vi.waitFor(() => expect(opened.map(({ fd }) => fd)).toEqual([-1]));
      expect(readFileSync(at("old"), "utf8")).toBe("old");
      await vi.waitFor(() => expect(readdirSync(folder)).toEqual(["old"]));
    },
  );

  it("leaves nothing open where it cannot be written in place either", async () => {
    writeFileSync(at("old"), "old");
    const real = files.open;
    const opened: FileHandle[] = [];
    vi.spyOn(files, "rename").mockRejectedValue(errno("EXDEV"));
    vi.spyOn(files, "open").mockImplementation(async (path, flags, mode) => {
      if (path === at("old")) throw errno("EACCES");
      opened.push(await real(path, flags, mode));
      return opened.at(-1)!;
    });
    expect(await failure(box.download("/f", at("old")))).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(opened.map(({ fd }) => fd)).toEqual([-1, -1]);
    expect(readdirSync(folder)).toEqual(["old"]);
    expect(readFileSync(at("old"), "utf8")).toBe("old");
  });

  it("follows a link with .. in a linked directory as the kernel does", async () => {
    mkdirSync(at("other/dir"), { recursive: true });
    writeFileSync(at("x"), "somebody else's");
    symlinkSync("other/dir", at("linked"));
    symlinkSync("../x", at("other/dir/dangling"));
    await box.download("/f", at("linked/dangling"));
    expect(readFileSync(at("x"), "utf8")).toBe("somebody else's");
    expect(readFileSync(at("other/x"), "utf8")).toBe("from the box");
    expect(lstatSync(at("other/dir/dangling")).isSymbolicLink()).toBe(true);
  });

  it.skipIf(!isRoot)("lets no other group read it, where the group cannot be kept", async () => {
    for (const [name, mode] of [
      ["key", 0o640],
      ["program", 0o775],
    ] as const) {
      writeFileSync(at(name), "old");
      chownSync(at(name), 0, 4321);
      chmodSync(at(name), mode);
    }
    const handle = await files.open(at("key"), "r");
    vi.spyOn(Object.getPrototypeOf(handle), "chown").mockRejectedValue(errno("EPERM"));
    await handle.close();
    await box.download("/f", at("key"));
    await box.download("/f", at("program"));
    expect(statSync(at("key")).gid).not.toBe(4321);
    expect([modeOf("key"), modeOf("program")]).toEqual([0o600, 0o755]);
  });

  it("saves a file whose name is as long as names can be", async () => {
    const name = "n".repeat(255);
    for (const text of ["from the box", "again"]) {
      await box.files.write("/f", text);
      await box.download("/f", at(name));
      expect(readFileSync(at(name), "utf8")).toBe(text);
    }
    expect(readdirSync(folder)).toEqual([name]);
  });

  it.skipIf(process.platform !== "linux")("replaces a regular file in shared memory", async () => {
    const shared = mkdtempSync("/dev/shm/boxrun-local-");
    try {
      writeFileSync(join(shared, "f"), "old");
      linkSync(join(shared, "f"), join(shared, "other"));
      await box.download("/f", join(shared, "f"));
      expect(readFileSync(join(shared, "f"), "utf8")).toBe("from the box");
      expect(readFileSync(join(shared, "other"), "utf8")).toBe("old");
    } finally {
      rmSync(shared, { recursive: true });
    }
  });

  it("refuses a name that is half a character", async () => {
    const error = await failure(box.download("/f", at("a\ud800")));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("an upload from a path", () => {
  it("gives a new file the mode it has here, and one that is there keeps its own", async () => {
    writeFileSync(at("script"), "#!/bin/sh\n");
    chmodSync(at("script"), 0o750);
    await box.upload(at("script"), "/new");
    expect((await box.files.stat("/new")).mode).toBe(0o750);
    await box.files.write("/there", "", { mode: 0o600 });
    await box.upload(at("script"), "/there");
    expect((await box.files.stat("/there")).mode).toBe(0o600);
    await box.upload(at("script"), "/there", { mode: 0o640 });
    expect((await box.files.stat("/there")).mode).toBe(0o640);
  });

  it("refuses what is no regular file, without waiting for it", async () => {
    if (hasFifos) execFileSync("mkfifo", [at("fifo")]);
    for (const name of [...(hasFifos ? [at("fifo")] : []), "/dev/zero"]) {
      const error = await failure(box.upload(name, "/x"));
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      expect(error.message).toContain(`${name} on this machine: it is not a regular file`);
    }
    expect(await failure(box.upload(at("a\udfff"), "/x"))).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await box.files.exists("/x")).toBe(false);
  });

  it("takes a sparse file whole, and one whose size is not known", async () => {
    writeFileSync(at("sparse"), "");
    truncateSync(at("sparse"), 5_000_000);
    await box.upload(at("sparse"), "/sparse");
    expect((await box.files.stat("/sparse")).size).toBe(5_000_000);
    const totals: (number | null)[] = [];
    await box.upload("/proc/self/status", "/status", {
      onProgress: ({ totalBytes }) => totals.push(totalBytes),
    });
    expect(await box.files.read("/status", "utf8")).toMatch(/^Name:/);
    expect(totals).toEqual([null]);
  });
});
