import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { pathBytes } from "../../src/backend/file-paths.js";
import { tarOf } from "../../src/files/archives.js";
import { COPY, COPY_WARNING, PACK_WARNING, VANISHED, withPaths } from "../../src/files/file-scripts.js";
import { Complaints } from "../../src/files/scripted-files.js";
import { BoxRunClient } from "../../src/index.js";
import { failure, streamOf } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

/** Made by the `tar` of this machine. */
function tarOfFile(): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "boxrun-tar-"));
  try {
    writeFileSync(join(folder, "näme"), "contents");
    return new Uint8Array(execFileSync("tar", ["-C", folder, "-cf", "-", "."]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** With the checksum of programs that take bytes for signed ones. */
function tarOfOld(): Uint8Array {
  const archive = tarOfFile().subarray(512);
  const header = archive.subarray(0, 512);
  header.fill(32, 148, 156);
  const sum = new Int8Array(header).reduce((total, byte) => total + byte, 0);
  header.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return archive;
}

const bytesOf = async (stream: ReadableStream) => new Uint8Array(await new Response(stream).arrayBuffer());

describe("an archive", () => {
  it.each([
    ["tar", "", tarOfFile()],
    ["tar of old", "", tarOfOld()],
    ["tar of nothing", "", new Uint8Array(1024)],
    ["gzip", "z", new Uint8Array(gzipSync("contents"))],
  ])("that is %s goes on as it came, however it is cut", async (_name, flag, bytes) => {
    for (const source of [bytes, new Blob([bytes]), bytes.slice().buffer, streamOf(bytes, 1)]) {
      const tar = await tarOf(source);
      expect(tar.flag).toBe(flag);
      expect(await bytesOf(tar.stream)).toEqual(bytes);
    }
  });

  it.each<[string, Uint8Array | string]>([
    ["text", new TextEncoder().encode("a text, and not an archive\n".repeat(100))],
    ["nothing", new Uint8Array(0)],
    ["half a header", tarOfFile().subarray(0, 300)],
    ["a header with a wrong byte", tarOfFile().fill(1, 200, 201)],
    ["a string", "an archive"],
  ])("that is none is refused before anything is made of it: %s", async (_name, bytes) => {
    const box = await new BoxRunClient({ backend: new FakeBackend() }).create("fake");
    const error = await failure(box.files.unpack(bytes as Uint8Array, "/to"));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await box.files.list("/")).toEqual([]);
  });

  it.each<[string, number[]]>([
    ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
    ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]],
    ["bzip2", [0x42, 0x5a, 0x68, 0x39]],
    ["zip", [0x50, 0x4b, 3, 4]],
  ])("of %s is refused by its name, and its source canceled", async (name, magic) => {
    let canceled = false;
    const source = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(Uint8Array.of(...magic, 0, 0, 0, 0)),
      cancel: () => {
        canceled = true;
      },
    });
    const error = await failure(tarOf(source));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain(`compressed with ${name}`);
    expect(canceled).toBe(true);
  });

  it("lets go of its source when it is given up, and fails as that does", async () => {
    let canceled: unknown;
    const reason = new Error("enough");
    const source = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(10)),
      cancel: (why) => {
        canceled = why;
      },
    });
    await (await tarOf(source)).stream.cancel(reason);
    expect(canceled).toBe(reason);
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(reason) });
    expect(await failure(tarOf(broken))).toBe(reason);
  });
});

describe("an archive that does not come", () => {
  it("is let go of when the signal aborts", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    let canceled: unknown;
    const source = new ReadableStream<Uint8Array>(
      {
        pull: () => {
          controller.abort(reason);
          return new Promise(() => {});
        },
        cancel: (why) => {
          canceled = why;
        },
      },
      { highWaterMark: 0 },
    );
    const box = await new BoxRunClient({ backend: new FakeBackend() }).create("fake");
    expect(await failure(box.files.unpack(source, "/to", { signal: controller.signal }))).toBe(reason);
    expect(canceled).toBe(reason);
  });
});

describe.skipIf(process.platform === "win32")("a copy of a directory", () => {
  it.each(["a FIFO", "a link to a FIFO"])("refuses %s in its target at once", (what) => {
    const folder = mkdtempSync(join(tmpdir(), "boxrun-copy-"));
    try {
      const [from, to] = [join(folder, "from"), join(folder, "to")] as const;
      for (const path of [from, to]) mkdirSync(path);
      writeFileSync(join(from, "name"), "x");
      execFileSync("mkfifo", [join(to, what === "a FIFO" ? "name" : "fifo")]);
      if (what !== "a FIFO") symlinkSync("fifo", join(to, "name"));
      const script = withPaths(COPY, [from, to].map(pathBytes));
      const { status } = spawnSync("/bin/sh", ["-c", script, "boxrun", "r"], { timeout: 5000 });
      expect(status).toBe(45);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("complaints of a program", () => {
  const areWarnings = (text: string, warning = PACK_WARNING) => {
    const complaints = new Complaints(warning);
    for (const char of text) complaints.take(char);
    return complaints.areWarnings;
  };

  it.each([
    "tar: ./log: file changed as we read it\n",
    "tar: ./x: File removed before we read it\n",
    "tar: ./x: File shrank by 3 bytes; padding with zeros\n",
    "tar: ./s: socket ignored\n",
    "tar: ./gone: No such file or directory\ntar: error exit delayed from previous errors\n",
  ])("are warnings where the archive is whole: %j", (text) => {
    expect(areWarnings(text)).toBe(true);
  });

  it.each([
    "",
    "tar: ./x: Cannot open: Permission denied\n",
    "tar: ./log: file changed as we read it\ntar: ./x: Cannot read: Input/output error\n",
    "tar: short read",
  ])("are failures: %j", (text) => {
    expect(areWarnings(text)).toBe(false);
  });

  it("give the first that is no warning as the reason: the others come of it", () => {
    const said = "tar: ./s: socket ignored\ntar: This is no archive\ntar: Exiting with failure status\n";
    expect(new Complaints(PACK_WARNING).take(said).reason).toBe("tar: This is no archive");
    expect(new Complaints().take("cp: no room").reason).toBe("cp: no room");
  });

  it("of a list are warnings where something was removed meanwhile", () => {
    expect(areWarnings("stat: can't stat './x': No such file or directory\n", VANISHED)).toBe(true);
    expect(areWarnings("stat: cannot statx './x': Input/output error\n", VANISHED)).toBe(false);
  });

  it("of a copy are warnings where something was removed meanwhile, and is copied as a link to a file that went", () => {
    expect(areWarnings("cp: can't stat 'a/./1': No such file or directory\n", COPY_WARNING)).toBe(true);
    expect(areWarnings("cp: cannot open 'a/./1': No such file or directory\n", COPY_WARNING)).toBe(true);
    expect(areWarnings("cp: can't create 'b/./2': No such file or directory\n", COPY_WARNING)).toBe(true);
    expect(areWarnings("cp: can't create 'b/./2': No space left on device\n", COPY_WARNING)).toBe(false);
  });
});
