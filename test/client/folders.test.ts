import { execFileSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packTar, type TarEntry, type TarHeader } from "modern-tar";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import type { FakeProgram } from "../../src/testing/fake-execution.js";

let top: string;
let out: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "boxrun-folders-"));
  out = join(top, "out");
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

const entry = (header: Partial<TarHeader> & { name: string }, body = ""): TarEntry => ({
  header: { size: body.length, ...header },
  body,
});

/** A box whose `tar` gives this archive. */
async function boxWith(archive: Uint8Array, exitCode = 0) {
  const sh: FakeProgram = ({ write }) => {
    write(archive);
    return exitCode;
  };
  const box = await new BoxRunClient({ backend: new FakeBackend({ programs: { sh } }) }).create("fake");
  await box.files.mkdir("/srv");
  return box;
}

const download = async (entries: TarEntry[], exitCode = 0) =>
  (await boxWith(await packTar(entries), exitCode)).download("/srv", out);

describe("the directory of a box that lies", () => {
  it.each<[string, TarEntry[]]>([
    ["a name with ..", [entry({ name: "./a/../../escaped" }, "x")]],
    ["a directory that is ..", [entry({ name: "..", type: "directory" })]],
    ["an absolute name", [entry({ name: "/tmp/boxrun-escaped" }, "x")]],
    ["a hard link to outside", [entry({ name: "a", type: "link", linkname: "../secret" })]],
    ["a hard link to an absolute name", [entry({ name: "a", type: "link", linkname: "/etc/passwd" })]],
    ["a hard link to nothing", [entry({ name: "a", type: "link", linkname: "none" })]],
    [
      "a hard link through a link",
      [
        entry({ name: "up", type: "symlink", linkname: ".." }),
        entry({ name: "a", type: "link", linkname: "up/secret" }),
      ],
    ],
  ])("is refused with %s, and writes nothing outside", async (_what, entries) => {
    writeFileSync(join(top, "secret"), "secret");
    const error = await failure(download(entries));
    expect(error).toMatchObject({ code: "PROTOCOL_ERROR" });
    expect(readdirSync(top).sort()).toEqual(["out", "secret"]);
    expect(readdirSync(out)).toEqual([]);
  });

  it("gets no file through a link that it sent before", async () => {
    const link = entry({ name: "./up", type: "symlink", linkname: ".." });
    const error = await failure(download([link, entry({ name: "./up/escaped" }, "x")]));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(readdirSync(top)).toEqual(["out"]);
  });

  it("gets no file through a link that an earlier download made", async () => {
    await download([entry({ name: "up", type: "symlink", linkname: ".." })]);
    expect(readlinkSync(join(out, "up"))).toBe("..");
    const error = await failure(download([entry({ name: "up/escaped" }, "x")]));
    expect(error).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining("links in the target are not followed"),
    });
    expect(readdirSync(top)).toEqual(["out"]);
  });

  it("gets no file through a link in the place of that file, which is replaced", async () => {
    mkdirSync(out);
    writeFileSync(join(top, "mine"), "mine");
    symlinkSync("../mine", join(out, "file"));
    await download([entry({ name: "file" }, "theirs")]);
    expect(readFileSync(join(top, "mine"), "utf8")).toBe("mine");
    expect(readFileSync(join(out, "file"), "utf8")).toBe("theirs");
    expect(lstatSync(join(out, "file")).isFile()).toBe(true);
  });

  it("makes no devices, no FIFOs, and no set-user-ID bits", async () => {
    await download([
      entry({ name: "null", type: "character-device" }),
      entry({ name: "pipe", type: "fifo" }),
      entry({ name: "su", mode: 0o4755 }, "x"),
    ]);
    expect(readdirSync(out)).toEqual(["su"]);
    expect(statSync(join(out, "su")).mode & 0o7000).toBe(0);
  });

  it("is told from one that is whole when its archive breaks off or is none", async () => {
    const archive = await packTar([entry({ name: "a" }, "x".repeat(5000))]);
    for (const bytes of [archive.subarray(0, 2000), new TextEncoder().encode("x".repeat(2000))]) {
      const error = await failure((await boxWith(bytes)).download("/srv", out));
      expect(error).toMatchObject({ code: "PROTOCOL_ERROR" });
      expect(existsSync(out) ? readdirSync(out) : []).toEqual([]);
    }
  });

  it("fails with the reason of the box when that could not read everything", async () => {
    const error = await failure(download([entry({ name: "a" }, "x")], 2));
    expect(error).toMatchObject({ code: "RUNTIME_ERROR", message: "pack /srv: exit code 2" });
    expect(readdirSync(out)).toEqual(["a"]);
  });

  it("refuses names that are not UTF-8", async () => {
    const archive = await packTar([entry({ name: "a?" }, "x")]);
    archive[1] = 0xff;
    archive[148 + 5] = archive[148 + 5]!;
    const sum = archive.subarray(0, 512).reduce((all, byte, i) => all + (i >= 148 && i < 156 ? 32 : byte), 0);
    archive.set(new TextEncoder().encode(sum.toString(8).padStart(6, "0")), 148);
    const error = await failure((await boxWith(archive)).download("/srv", out));
    expect(error).toMatchObject({ code: "RUNTIME_ERROR", message: expect.stringContaining("not UTF-8") });
  });
});

describe("a directory of a box", () => {
  it("joins what is in the local one, with its links and modes", async () => {
    mkdirSync(join(out, "sub"), { recursive: true });
    writeFileSync(join(out, "sub/mine"), "mine");
    writeFileSync(join(out, "sub/both"), "old", { mode: 0o600 });
    await download([
      entry({ name: "./", type: "directory", mode: 0o700 }),
      entry({ name: "./sub/", type: "directory" }),
      entry({ name: "./sub/both", mode: 0o755 }, "new"),
      entry({ name: "./sub/run", mode: 0o755, mtime: new Date(1e12) }, "#!"),
      entry({ name: "./sub/again", type: "link", linkname: "./sub/run" }),
      entry({ name: "./closed/", type: "directory", mode: 0o500 }),
      entry({ name: "./closed/file", mode: 0o400 }, "x"),
      entry({ name: "./closed/link", type: "symlink", linkname: "file" }),
      entry({ name: "./python", type: "symlink", linkname: "/usr/bin/python3" }),
    ]);
    const { mode, ino, mtime } = statSync(join(out, "sub/run"));
    expect([mode & 0o100, mtime]).toEqual([0o100, new Date(1e12)]);
    expect(statSync(join(out, "sub/again")).ino).toBe(ino);
    expect(readFileSync(join(out, "sub/both"), "utf8")).toBe("new");
    expect(statSync(join(out, "sub/both")).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(out, "sub")).sort()).toEqual(["again", "both", "mine", "run"]);
    expect(statSync(join(out, "closed")).mode & 0o777).toBe(0o500);
    expect(readFileSync(join(out, "closed/link"), "utf8")).toBe("x");
    expect(readlinkSync(join(out, "python"))).toBe("/usr/bin/python3");
  });

  it("is not put in the place of a local file, nor a file in that of a directory", async () => {
    mkdirSync(join(out, "dir"), { recursive: true });
    writeFileSync(join(out, "file"), "mine");
    for (const entries of [
      [entry({ name: "file/", type: "directory" })],
      [entry({ name: "dir" }, "x")],
      [entry({ name: "dir", type: "symlink", linkname: "file" })],
    ])
      expect(await failure(download(entries))).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(readdirSync(out).sort()).toEqual(["dir", "file"]);
    out = join(out, "file");
    expect(await failure(download([]))).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("is given up when the signal aborts, and leaves no partial file", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const box = await boxWith(await packTar([entry({ name: "a" }, "x".repeat(100_000))]));
    const onProgress = () => controller.abort(reason);
    const saving = box.download("/srv", out, { signal: controller.signal, onProgress });
    expect(await failure(saving)).toBe(reason);
    await expect.poll(() => (existsSync(out) ? readdirSync(out) : [])).toEqual([]);
  });
});

describe("a local directory", () => {
  /** Uploads a directory to a box that keeps the archive. */
  async function archiveOf(folder: string, options = {}) {
    const chunks: Uint8Array[] = [];
    const sh: FakeProgram = async ({ stdin }) => {
      for await (const chunk of stdin) chunks.push(chunk);
      return 0;
    };
    const box = await new BoxRunClient({ backend: new FakeBackend({ programs: { sh } }) }).create("fake");
    await box.upload(folder, "/srv", options);
    return Buffer.concat(chunks);
  }

  it("is packed so that tar has all of it: links, modes, times and long names", async () => {
    const long = "n".repeat(120);
    mkdirSync(join(top, "in", long, "größe"), { recursive: true });
    writeFileSync(join(top, "in", long, "größe", long), "deep");
    writeFileSync(join(top, "in/run"), "#!", { mode: 0o750 });
    linkSync(join(top, "in/run"), join(top, "in/same"));
    symlinkSync(`none/${long}`, join(top, "in/link"));
    mkdirSync(join(top, "in/empty"));
    execFileSync("mkfifo", [join(top, "in/pipe")]);
    symlinkSync("in", join(top, "to-in"));
    const archive = await archiveOf(join(top, "to-in"));
    mkdirSync(out);
    execFileSync("tar", ["-xf", "-", "-C", out], { input: archive });
    expect(readdirSync(out).sort()).toEqual(["empty", "link", long, "run", "same"].sort());
    expect(readFileSync(join(out, long, "größe", long), "utf8")).toBe("deep");
    expect(readlinkSync(join(out, "link"))).toBe(`none/${long}`);
    expect(statSync(join(out, "run")).mode & 0o777).toBe(0o750);
    expect(statSync(join(out, "same")).ino).toBe(statSync(join(out, "run")).ino);
  });

  it("has no one mode", async () => {
    const error = await failure(archiveOf(top, { mode: 0o644 }));
    expect(error).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining("mode is for"),
    });
  });

  it("reports how far it is", async () => {
    writeFileSync(join(top, "file"), "x".repeat(1000));
    const seen: number[] = [];
    const onProgress = (progress: { loadedBytes: number }) => seen.push(progress.loadedBytes);
    const archive = await archiveOf(top, { onProgress });
    expect(seen.at(-1)).toBe(archive.byteLength);
  });
});
