import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MAX_DATA } from "../../src/local/protocol/frame-types.js";
import { AgentProcess, whySkipped } from "./agent-process.js";

const [ENOENT, EAGAIN, ENOTDIR, EISDIR, EINVAL, ENAMETOOLONG] = [2, 11, 20, 21, 22, 36];
const [ELOOP, ECANCELED] = [40, 125];
const STAGE = { open: 6, write: 7, read: 8 };

const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const patterned = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, i) => (i * 7919) >> 5));

/** The one regular file that has a reader wait. Only root opens it, and containers often hide it by a device. */
const KERNEL_LOG = "/proc/kmsg";
function hasKernelLog(): boolean {
  try {
    const fd = openSync(KERNEL_LOG, constants.O_RDONLY | constants.O_NONBLOCK);
    const isFile = fstatSync(fd).isFile();
    closeSync(fd);
    return isFile;
  } catch {
    return false;
  }
}

/** Sends a file as its credit allows, and resolves to the stream's end. */
async function put(
  agent: AgentProcess,
  stream: number,
  path: string,
  bytes: Uint8Array,
  mode = 0o644,
  flags = 0,
) {
  agent.send({ type: "put", stream, flags, mode, path });
  let [at, credit, finished] = [0, 0, false];
  for (;;) {
    const frame = await agent.next(stream);
    if (frame.type !== "credit") return frame;
    credit += frame.bytes;
    while (credit > 0 && at < bytes.length) {
      const data = bytes.subarray(at, at + Math.min(credit, MAX_DATA));
      agent.send({ type: "data", stream, channel: "file", data });
      credit -= data.length;
      at += data.length;
    }
    if (at === bytes.length && !finished) agent.send({ type: "eof", stream });
    finished ||= at === bytes.length;
  }
}

describe.skipIf(whySkipped)(`files of the agent${whySkipped ? ` (skipped: ${whySkipped})` : ""}`, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "boxrun-agent-files-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  describe("put", () => {
    test.each([0, 1, MAX_DATA, 5_000_000])("writes a file of %i bytes", async (length) => {
      await using agent = await AgentProcess.start();
      const path = join(folder, "file");
      const bytes = patterned(length);
      expect(await put(agent, 1, path, bytes, 0o751)).toEqual({ type: "done", stream: 1, bytes: length });
      expect(hash(readFileSync(path))).toBe(hash(bytes));
      expect(statSync(path).mode & 0o7777).toBe(0o751);
      expect(readdirSync(folder)).toEqual(["file"]);
    });

    test("makes the folders that are missing", async () => {
      await using agent = await AgentProcess.start();
      await put(agent, 1, join(folder, "a/b/c"), patterned(3));
      expect(readFileSync(join(folder, "a/b/c"))).toEqual(patterned(3));
      expect(statSync(join(folder, "a/b")).mode & 0o777).toBe(0o755);
    });

    test("replaces a file whole: whoever has it open keeps the old one", async () => {
      await using agent = await AgentProcess.start();
      const path = join(folder, "file");
      writeFileSync(path, "old");
      agent.shell(1, `exec 4< ${path}; echo open; read go; cat <&4`, { stdin: true });
      await agent.next(1, "data");
      agent.send({ type: "put", stream: 2, flags: 0, mode: 0o600, path });
      await agent.next(2, "credit");
      agent.send({ type: "data", stream: 2, channel: "file", data: Buffer.from("new") });
      await agent.settled();
      expect(readFileSync(path, "utf8")).toBe("old");
      agent.send({ type: "eof", stream: 2 });
      expect((await agent.next(2)).type).toBe("done");
      expect(readFileSync(path, "utf8")).toBe("new");
      agent.send({ type: "data", stream: 1, channel: "stdin", data: Buffer.from("\n") });
      expect((await agent.result(1)).stdout).toBe("old");
    });

    test("follows a symbolic link at the path, and leaves it", async () => {
      await using agent = await AgentProcess.start();
      mkdirSync(join(folder, "there"));
      symlinkSync("there/target", join(folder, "relative"));
      symlinkSync(join(folder, "relative"), join(folder, "link"));
      await put(agent, 1, join(folder, "link"), Buffer.from("x"));
      expect(readFileSync(join(folder, "there/target"), "utf8")).toBe("x");
      expect(readdirSync(folder).sort()).toEqual(["link", "relative", "there"]);
      await put(agent, 1, join(folder, "link"), Buffer.from("y"));
      expect(readFileSync(join(folder, "link"), "utf8")).toBe("y");
    });

    test("that is aborted leaves the old file and nothing else", async () => {
      await using agent = await AgentProcess.start();
      const path = join(folder, "file");
      writeFileSync(path, "old");
      agent.send({ type: "put", stream: 1, flags: 0, mode: 0o644, path });
      await agent.next(1, "credit");
      agent.send({ type: "data", stream: 1, channel: "file", data: patterned(1000) });
      await agent.settled();
      expect(readdirSync(folder)).toHaveLength(2);
      agent.send({ type: "abort", stream: 1 });
      expect((await agent.result(1)).end).toMatchObject({ type: "fail", errno: ECANCELED });
      expect(readdirSync(folder)).toEqual(["file"]);
      expect(readFileSync(path, "utf8")).toBe("old");
    });

    test.each(["connection", "shutdown"])(
      "that is cut off by the end of the %s leaves nothing",
      async (end) => {
        await using agent = await AgentProcess.start();
        agent.send({ type: "put", stream: 1, flags: 0, mode: 0o644, path: join(folder, "file") });
        await agent.next(1, "credit");
        if (end === "shutdown") {
          agent.send({ type: "shutdown", stream: 0, graceMs: 0 });
          expect((await agent.result(1)).end).toMatchObject({ type: "fail" });
        } else await agent.close();
        expect(readdirSync(folder)).toEqual([]);
      },
    );

    test.each<[string, (path: string) => string, number]>([
      ["a folder", (at) => at, EISDIR],
      ["a folder, with a slash", (at) => `${at}/`, EISDIR],
      ["a folder that is not there", (at) => `${at}/new/`, EISDIR],
      ["a folder behind a link", (at) => `${at}/to-folder`, EISDIR],
      ["the root", () => "/", EISDIR],
      ["below a file", (at) => `${at}/file/below`, ENOTDIR],
      ["a relative path", () => "relative", EINVAL],
      ["a name too long", (at) => `${at}/${"n".repeat(256)}`, ENAMETOOLONG],
      ["a link to itself", (at) => `${at}/loop`, ELOOP],
    ])("refuses %s before any data", async (_name, path, errno) => {
      await using agent = await AgentProcess.start();
      writeFileSync(join(folder, "file"), "");
      symlinkSync(folder, join(folder, "to-folder"));
      symlinkSync("loop", join(folder, "loop"));
      const before = readdirSync(folder);
      const detail = path(folder);
      agent.send({ type: "put", stream: 1, flags: 0, mode: 0o644, path: detail });
      expect(await agent.next(1)).toEqual({ type: "fail", stream: 1, stage: STAGE.open, errno, detail });
      expect(readdirSync(folder)).toEqual(before);
    });

    test("reports a write that fails, and removes what it wrote", async () => {
      await using agent = await AgentProcess.start();
      // The limit is the agent's own: nothing else on the host need be full.
      agent.shell(1, `prlimit --pid ${agent.pid} --fsize=10000:10000`);
      expect((await agent.result(1)).end).toMatchObject({ value: 0 });
      const end = await put(agent, 2, join(folder, "file"), patterned(100_000));
      expect(end).toMatchObject({ type: "fail", stage: STAGE.write });
      expect(readdirSync(folder)).toEqual([]);
      agent.exec(3, ["echo", "alive"]);
      expect((await agent.result(3)).stdout).toBe("alive\n");
    });
  });

  describe("get", () => {
    test.each([0, 1, MAX_DATA, 5_000_000])("reads a file of %i bytes", async (length) => {
      await using agent = await AgentProcess.start();
      const path = join(folder, "file");
      const bytes = patterned(length);
      writeFileSync(path, bytes);
      chmodSync(path, 0o4711);
      utimesSync(path, 1, 1_700_000_000.125);
      agent.send({ type: "get", stream: 1, window: 300_000, path });
      const { frames, file, end } = await agent.result(1);
      const stat = { type: "stat", stream: 1, size: length, mode: 0o4711, mtimeMs: 1_700_000_000_125 };
      expect(frames[0]).toEqual(stat);
      expect(hash(file)).toBe(hash(bytes));
      expect(end).toEqual({ type: "done", stream: 1, bytes: length });
    });

    test("reads a file of the kernel, whose size is not known", async () => {
      await using agent = await AgentProcess.start();
      agent.send({ type: "get", stream: 1, window: 100_000, path: "/proc/version" });
      const { frames, file, end } = await agent.result(1);
      expect(frames[0]).toMatchObject({ type: "stat", size: 0 });
      expect(file.equals(readFileSync("/proc/version"))).toBe(true);
      expect(end.type).toBe("done");
    });

    test.skipIf(!hasKernelLog())("fails on a file that would have it wait", async () => {
      await using agent = await AgentProcess.start();
      agent.send({ type: "get", stream: 1, window: 1 << 20, path: KERNEL_LOG });
      const { frames, end } = await agent.result(1);
      expect(frames[0]).toMatchObject({ type: "stat" });
      expect(end).toEqual({ type: "fail", stream: 1, stage: STAGE.read, errno: EAGAIN, detail: "read" });
      agent.exec(2, ["echo", "alive"]);
      expect((await agent.result(2)).stdout).toBe("alive\n");
    });

    test("sends nothing beyond the window, and its end without any", async () => {
      await using agent = await AgentProcess.start();
      const path = join(folder, "file");
      writeFileSync(path, patterned(100));
      agent.send({ type: "get", stream: 1, window: 60, path });
      await agent.next(1, "stat");
      expect((await agent.next(1, "data")).data).toHaveLength(60);
      await agent.settled();
      expect(agent.frames).toEqual([]);
      agent.send({ type: "credit", stream: 1, bytes: 40 });
      expect((await agent.next(1, "data")).data).toHaveLength(40);
      expect(await agent.next(1)).toEqual({ type: "done", stream: 1, bytes: 100 });
      truncateSync(path);
      agent.send({ type: "get", stream: 2, window: 0, path });
      await agent.next(2, "stat");
      expect(await agent.next(2)).toEqual({ type: "done", stream: 2, bytes: 0 });
    });

    test("that is aborted ends", async () => {
      await using agent = await AgentProcess.start();
      agent.send(
        { type: "get", stream: 1, window: 10, path: "/proc/self/maps" },
        { type: "abort", stream: 1 },
      );
      expect((await agent.result(1)).end).toMatchObject({
        type: "fail",
        stage: STAGE.read,
        errno: ECANCELED,
      });
    });

    test.each<[string, string, number]>([
      ["a folder", "/usr", EISDIR],
      ["a device", "/dev/zero", EINVAL],
      ["a file that is not there", "/no/such/file", ENOENT],
      ["a relative path", "etc/passwd", EINVAL],
    ])("refuses %s", async (_name, path, errno) => {
      await using agent = await AgentProcess.start();
      agent.send({ type: "get", stream: 1, window: 10, path });
      expect(await agent.next(1)).toEqual({
        type: "fail",
        stream: 1,
        stage: STAGE.open,
        errno,
        detail: path,
      });
    });

    test("refuses a FIFO without waiting for its writer", async () => {
      await using agent = await AgentProcess.start();
      const path = join(folder, "fifo");
      agent.exec(1, ["mkfifo", path]);
      await agent.result(1);
      agent.send({ type: "get", stream: 2, window: 10, path });
      expect(await agent.next(2)).toMatchObject({ type: "fail", errno: EINVAL });
    });
  });

  test("many transfers and commands at once do not mix", async () => {
    await using agent = await AgentProcess.start();
    const sizes = Array.from({ length: 20 }, (_, i) => i * 50_021);
    const paths = sizes.map((size) => join(folder, `${size}`));
    await Promise.all(
      sizes.map(async (size, i) => {
        agent.exec(1000 + i, ["head", "-c", `${size}`, "/dev/zero"], { window: 50_000 });
        expect((await put(agent, 100 + i, paths[i]!, patterned(size))).type).toBe("done");
        agent.send({ type: "get", stream: 500 + i, window: 50_000, path: paths[i]! });
        expect(hash((await agent.result(500 + i)).file)).toBe(hash(patterned(size)));
        expect((await agent.result(1000 + i)).stdout.length).toBe(size);
      }),
    );
  });
});
