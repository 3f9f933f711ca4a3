import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MAX_DATA, PUT_KEEP_MODE } from "../../src/local/protocol/frame-types.js";
import { AgentProcess, whySkipped } from "./agent-process.js";

const [EAGAIN, EINVAL, ENOSPC] = [11, 22, 28];
const STAGE = { open: 6, partly: 9 };
/** A file of sysfs, which says 4096 bytes of each, where this machine has it. */
const OF_SYSFS = "/sys/kernel/uevent_seqnum";

/** Sends a file as its credit allows, and resolves to the stream's end. */
async function put(
  agent: AgentProcess,
  path: string,
  text: string | Buffer,
  flags = PUT_KEEP_MODE,
  mode = 0o644,
) {
  agent.send({ type: "put", stream: 1, flags, mode, path });
  const bytes = Buffer.from(text);
  let [at, credit, finished] = [0, 0, false];
  for (;;) {
    const frame = await agent.next(1);
    if (frame.type !== "credit") return frame;
    credit += frame.bytes;
    while (credit > 0 && at < bytes.length) {
      const data = bytes.subarray(at, at + Math.min(credit, MAX_DATA));
      agent.send({ type: "data", stream: 1, channel: "file", data });
      credit -= data.length;
      at += data.length;
    }
    if (at === bytes.length && !finished) agent.send({ type: "eof", stream: 1 });
    finished ||= at === bytes.length;
  }
}

describe.skipIf(whySkipped)(`put of the agent${whySkipped ? ` (skipped: ${whySkipped})` : ""}`, () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "boxrun-agent-put-"));
    path = join(folder, "file");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const modeOf = (name = path) => statSync(name).mode & 0o7777;

  describe("over a regular file", () => {
    test.each([0o600, 0o755, 0o4711])("keeps the mode %o where that is asked for", async (mode) => {
      await using agent = await AgentProcess.start();
      writeFileSync(path, "old");
      chmodSync(path, mode);
      expect(await put(agent, path, "new")).toMatchObject({ type: "done" });
      expect(modeOf()).toBe(mode);
      expect(readFileSync(path, "utf8")).toBe("new");
      expect(await put(agent, path, "newer", 0, 0o640)).toMatchObject({ type: "done" });
      expect(modeOf()).toBe(0o640);
      expect(readdirSync(folder)).toEqual(["file"]);
    });

    test("gives a new file the mode in any case", async () => {
      await using agent = await AgentProcess.start();
      await put(agent, path, "new", PUT_KEEP_MODE, 0o751);
      expect(modeOf()).toBe(0o751);
    });

    test.skipIf(process.getuid?.() !== 0)("keeps the owner, behind a link too", async () => {
      await using agent = await AgentProcess.start();
      writeFileSync(path, "old");
      chownSync(path, 1234, 4321);
      chmodSync(path, 0o6750);
      symlinkSync("file", join(folder, "link"));
      await put(agent, join(folder, "link"), "new");
      expect(statSync(path)).toMatchObject({ uid: 1234, gid: 4321 });
      expect(modeOf()).toBe(0o6750);
      await put(agent, path, "newer", 0, 0o600);
      expect(statSync(path)).toMatchObject({ uid: 1234, gid: 4321 });
      expect(modeOf()).toBe(0o600);
      expect(lstatSync(join(folder, "link")).isSymbolicLink()).toBe(true);
    });

    test("leaves its other names what they were", async () => {
      await using agent = await AgentProcess.start();
      writeFileSync(path, "old");
      linkSync(path, join(folder, "other"));
      await put(agent, path, "new");
      expect(readFileSync(join(folder, "other"), "utf8")).toBe("old");
    });

    test("does not destroy what has come into its place meanwhile", async () => {
      await using agent = await AgentProcess.start();
      agent.send({ type: "put", stream: 1, flags: 0, mode: 0o644, path });
      await agent.next(1, "credit");
      execFileSync("mkfifo", [path]);
      agent.send({ type: "eof", stream: 1 });
      expect(await agent.next(1)).toMatchObject({ type: "fail" });
      expect(statSync(path).isFIFO()).toBe(true);
      expect(readdirSync(folder)).toEqual(["file"]);
    });
  });

  describe("into what is no regular file", () => {
    test("writes a device, and leaves it one", async () => {
      await using agent = await AgentProcess.start();
      const before = modeOf("/dev/null");
      expect(await put(agent, "/dev/null", "gone")).toEqual({ type: "done", stream: 1, bytes: 4 });
      expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
      expect(modeOf("/dev/null")).toBe(before);
    });

    test("says that it failed in place", async () => {
      await using agent = await AgentProcess.start();
      const end = await put(agent, "/dev/full", "much");
      expect(end).toMatchObject({ type: "fail", stage: STAGE.partly, errno: ENOSPC });
    });

    test("writes a file of the kernel, whose directory takes no new ones", async () => {
      await using agent = await AgentProcess.start();
      const comm = `/proc/${agent.pid}/comm`;
      expect(await put(agent, comm, "another")).toMatchObject({ type: "done" });
      expect(readFileSync(comm, "utf8")).toBe("another\n");
    });

    test("writes a file without a name through its link in /proc, and makes no other", async () => {
      await using agent = await AgentProcess.start();
      writeFileSync(path, "old and long");
      agent.shell(2, `exec 3<> ${path}; rm ${path}; echo open; read line; cat <&3`, { stdin: true });
      const { pid } = await agent.next(2, "started");
      await agent.next(2, "data");
      expect(await put(agent, `/proc/${pid}/fd/3`, "new")).toEqual({ type: "done", stream: 1, bytes: 3 });
      expect(readdirSync(folder)).toEqual([]);
      agent.send({ type: "eof", stream: 2 });
      expect((await agent.result(2)).stdout).toBe("new");
    });

    test.each(["abort", "shutdown"] as const)("says at %s that something was written", async (how) => {
      await using agent = await AgentProcess.start();
      agent.send({ type: "put", stream: 1, flags: 0, mode: 0o666, path: "/dev/null" });
      agent.send({ type: "data", stream: 1, channel: "file", data: Uint8Array.of(1) });
      agent.send(how === "abort" ? { type: how, stream: 1 } : { type: how, stream: 0, graceMs: 1000 });
      await agent.next(1, "credit");
      expect(await agent.next(1)).toMatchObject({ type: "fail", stage: STAGE.partly });
    });

    test("gives up a terminal that nobody reads, and goes on", async () => {
      await using agent = await AgentProcess.start();
      const size = { cols: 80, rows: 24 };
      const argv = ["sh", "-c", "tty; exec sleep 1000"];
      const env = [`PATH=${process.env["PATH"]}`];
      agent.send({ type: "terminal", stream: 2, window: 200, ...size, cwd: "/", argv, env });
      let name = "";
      while (!name.includes("\n")) name += Buffer.from((await agent.next(2, "data")).data).toString();
      const end = await put(agent, name.trim(), Buffer.alloc(1_000_000, "x"));
      expect(end).toMatchObject({ type: "fail", stage: STAGE.partly, errno: EAGAIN });
      agent.exec(3, ["echo", "alive"]);
      expect((await agent.result(3)).stdout).toBe("alive\n");
    });

    test.each(["nobody reads", "somebody reads"])("refuses a FIFO that %s, at once", async (who) => {
      await using agent = await AgentProcess.start();
      execFileSync("mkfifo", [path]);
      if (who === "somebody reads") {
        agent.shell(2, `exec 3<> ${path}; echo open; exec sleep 1000`);
        await agent.next(2, "data");
      }
      const end = await put(agent, path, "x");
      expect(end).toEqual({ type: "fail", stream: 1, stage: STAGE.open, errno: EINVAL, detail: path });
      expect(statSync(path).isFIFO()).toBe(true);
    });

    test("refuses a socket, both ways", async () => {
      await using agent = await AgentProcess.start();
      const server = createServer().listen(path);
      try {
        await new Promise((resolve) => server.once("listening", resolve));
        const refused = { type: "fail", stream: 1, stage: STAGE.open, errno: EINVAL, detail: path };
        expect(await put(agent, path, "x")).toEqual(refused);
        agent.send({ type: "get", stream: 1, window: 10, path });
        expect(await agent.next(1)).toEqual(refused);
      } finally {
        server.close();
      }
    });
  });

  test.skipIf(!existsSync(OF_SYSFS))("get says no size of what is made as it is read", async () => {
    await using agent = await AgentProcess.start();
    agent.send({ type: "get", stream: 1, window: 100, path: OF_SYSFS });
    const { frames, file } = await agent.result(1);
    expect(frames[0]).toMatchObject({ type: "stat", size: 0 });
    expect(file.length).toBeLessThan(100);
  });
});
