import { execFileSync } from "node:child_process";
import {
  chmodSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { FileEntry } from "../../src/contract/types.js";
import { decodeEntries } from "../../src/local/guest/file-entries.js";
import type { Text } from "../../src/local/protocol/frame-fields.js";
import { FILE_OPERATIONS, type GuestFrame, MAX_ENTRY } from "../../src/local/protocol/frame-types.js";
import { AgentProcess, whySkipped } from "./agent-process.js";
import { goldenFrames } from "./golden-frames.js";

const [ENOENT, EEXIST, ENOTDIR, EISDIR, EINVAL, ENAMETOOLONG, ENOTEMPTY, ELOOP, ECANCELED, ESHUTDOWN] = [
  2, 17, 20, 21, 22, 36, 39, 40, 125, 108,
];
const STAGE = { limit: 3, open: 6, read: 8 };
const WINDOW = 1 << 20;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-operations-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Name = keyof typeof FILE_OPERATIONS;
interface More {
  stream?: number;
  mode?: number;
  window?: number;
  second?: Text;
}

function ask(agent: AgentProcess, name: Name, path: Text, more: More = {}): void {
  const { stream = 1, mode = 0, window = WINDOW, second = "" } = more;
  agent.send({ type: "file", stream, operation: FILE_OPERATIONS[name], mode, window, path, second });
}

/** Asks, and takes the answer to its end. */
async function operate(
  agent: AgentProcess,
  name: Name,
  path: Text,
  more: More = {},
): Promise<{ entries: FileEntry[]; end: GuestFrame }> {
  ask(agent, name, path, more);
  const { file, end, frames } = await agent.result(more.stream ?? 1);
  const entries = frames.flatMap((frame) => (frame.type === "data" ? decodeEntries(frame.data) : []));
  if (end.type === "done") expect(end.bytes).toBe(file.byteLength);
  return { entries, end };
}

const failed = (errno: number, detail: string, stage = STAGE.open) => ({
  type: "fail",
  stream: 1,
  stage,
  errno,
  detail,
});
const done = { type: "done", stream: 1 };
const nameOf = ({ name }: FileEntry) => Buffer.from(name).toString("latin1");

test("golden entries are decoded", () => {
  const entriesOf = (name: string) => {
    const { fields } = goldenFrames.find((frame) => frame.name === name)!;
    return decodeEntries((fields as { data: Uint8Array }).data);
  };
  const empty = { size: 0, modifiedAt: new Date(0), mode: 0o644, type: "file", uid: 0, gid: 0 };
  expect(entriesOf("entry of a file")).toEqual([{ ...empty, name: new Uint8Array(0) }]);
  expect(entriesOf("entries of a directory")).toEqual([
    {
      size: 5_368_709_120,
      modifiedAt: new Date(1_763_884_800_123),
      mode: 0o4755,
      type: "file",
      uid: 1000,
      gid: 0xffff_ffff,
      name: Uint8Array.of(255, 10, 120),
    },
    {
      size: 3,
      modifiedAt: new Date(-1000),
      mode: 0o777,
      type: "symlink",
      uid: 0,
      gid: 5,
      name: new TextEncoder().encode("link"),
    },
  ]);
});

describe.skipIf(whySkipped)(`operations on files${whySkipped ? ` (skipped: ${whySkipped})` : ""}`, () => {
  test("stat tells what is there, and lstat what a link is", async () => {
    await using agent = await AgentProcess.start();
    writeFileSync(join(folder, "file"), "12345");
    chmodSync(join(folder, "file"), 0o4751);
    utimesSync(join(folder, "file"), 1, 1_700_000_000.125);
    symlinkSync("file", join(folder, "link"));
    lutimesSync(join(folder, "link"), 1, 1_600_000_000);
    const { uid, gid } = statSync(folder);
    const file = {
      name: new Uint8Array(0),
      type: "file",
      size: 5,
      mode: 0o4751,
      modifiedAt: new Date(1_700_000_000_125),
      uid,
      gid,
    };
    const link = { ...file, type: "symlink", size: 4, mode: 0o777, modifiedAt: new Date(1_600_000_000_000) };
    expect(await operate(agent, "stat", join(folder, "link"))).toMatchObject({ entries: [file], end: done });
    expect(await operate(agent, "lstat", join(folder, "link"))).toMatchObject({ entries: [link] });
    expect((await operate(agent, "stat", folder)).entries).toMatchObject([{ type: "directory" }]);
    expect((await operate(agent, "stat", "/dev/null")).entries).toMatchObject([{ type: "other" }]);
    execFileSync("touch", ["-d", "@-1.5", join(folder, "file")]);
    expect((await operate(agent, "stat", join(folder, "file"))).entries).toMatchObject([
      { modifiedAt: new Date(-1500) },
    ]);
  });

  test("a time that no Date holds is told as the last one that it does", async () => {
    await using agent = await AgentProcess.start();
    // The one file system everywhere that keeps such times.
    const path = join("/dev/shm", `boxrun-${agent.pid}`);
    execFileSync("touch", ["-d", "@9999999999999999", path]);
    try {
      const { entries } = await operate(agent, "stat", path);
      expect(entries).toMatchObject([{ modifiedAt: new Date(8_640_000_000_000_000) }]);
    } finally {
      rmSync(path);
    }
  });

  test("list tells everything in a directory, whatever its name", async () => {
    await using agent = await AgentProcess.start();
    const names = ["-dash", "new\nline", "quo'te\"", "..x", ".hidden", "n".repeat(255)];
    for (const name of names) writeFileSync(join(folder, name), name);
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.of(255, 254)]), "no UTF-8");
    mkdirSync(join(folder, "sub"));
    symlinkSync("nowhere", join(folder, "link"));
    symlinkSync(folder, join(folder, "self"));
    const { entries, end } = await operate(agent, "list", join(folder, "self"));
    expect(end).toMatchObject(done);
    expect(entries.map(nameOf).sort()).toEqual([...names, "\xff\xfe", "sub", "link", "self"].sort());
    const typeOf = (name: string) => entries.find((entry) => nameOf(entry) === name)?.type;
    expect([typeOf("sub"), typeOf("link"), typeOf("self"), typeOf("..x")]).toEqual([
      "directory",
      "symlink",
      "symlink",
      "file",
    ]);
    expect(await operate(agent, "list", join(folder, "sub"))).toMatchObject({ entries: [], end: done });
  });

  test("a long list goes on under credit, and other streams go on beside it", async () => {
    await using agent = await AgentProcess.start();
    execFileSync("sh", ["-c", "seq 20000 | xargs touch"], { cwd: folder });
    ask(agent, "list", folder, { window: MAX_ENTRY });
    const first = await agent.next(1, "data");
    const got = decodeEntries(first.data).map(nameOf);
    await agent.settled();
    expect(agent.frames).toEqual([]);
    agent.exec(2, ["echo", "alive"]);
    expect((await agent.result(2)).stdout).toBe("alive\n");
    agent.send({ type: "credit", stream: 1, bytes: first.data.byteLength });
    const { frames, end } = await agent.result(1);
    for (const frame of frames) if (frame.type === "data") got.push(...decodeEntries(frame.data).map(nameOf));
    expect(end.type).toBe("done");
    expect(got.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 20_000 }, (_, i) => i + 1));
    const { entries } = await operate(agent, "list", folder);
    expect(entries).toHaveLength(20_000);
  });

  test.each(["abort", "shutdown", "connection"])("a list that waits for credit ends by %s", async (by) => {
    await using agent = await AgentProcess.start();
    execFileSync("sh", ["-c", "seq 2000 | xargs touch"], { cwd: folder });
    const links = () =>
      readdirSync(`/proc/${agent.pid}/fd`).filter((fd) => {
        try {
          return readlinkSync(`/proc/${agent.pid}/fd/${fd}`) === folder;
        } catch {
          return false;
        }
      });
    ask(agent, "list", folder, { window: MAX_ENTRY });
    await agent.next(1, "data");
    expect(links()).toHaveLength(1);
    if (by === "connection") {
      expect(await agent.close()).toBe(0);
      return;
    }
    if (by === "abort") agent.send({ type: "abort", stream: 1 });
    else agent.send({ type: "shutdown", stream: 0, graceMs: 0 });
    const { end } = await agent.result(1);
    expect(end).toMatchObject({ type: "fail", errno: by === "abort" ? ECANCELED : ESHUTDOWN });
    expect(links()).toEqual([]);
  });

  test("many lists at once do not mix", async () => {
    await using agent = await AgentProcess.start();
    const streams = Array.from({ length: 40 }, (_, i) => i + 1);
    for (const stream of streams) {
      mkdirSync(join(folder, `${stream}`));
      for (let i = 0; i < 10 * stream; i++) writeFileSync(join(folder, `${stream}`, `${stream}-${i}`), "");
    }
    await Promise.all(
      streams.map(async (stream) => {
        const { entries } = await operate(agent, "list", join(folder, `${stream}`), { stream, window: 1000 });
        expect(entries.map(nameOf).sort()).toEqual(readdirSync(join(folder, `${stream}`)).sort());
      }),
    );
  });

  test("mkdir makes a directory of exactly the mode", async () => {
    await using agent = await AgentProcess.start();
    for (const mode of [0o700, 0o777, 0o1777, 0o4755, 0]) {
      const path = join(folder, `${mode}`);
      expect((await operate(agent, "mkdir", path, { mode })).end).toMatchObject(done);
      expect(statSync(path).mode & 0o7777).toBe(mode);
    }
  });

  test("mkdirs makes all that is missing, and leaves what is there", async () => {
    await using agent = await AgentProcess.start();
    expect((await operate(agent, "mkdirs", `${folder}/a/b/c///`, { mode: 0o700 })).end).toMatchObject(done);
    const modes = ["a", "a/b", "a/b/c"].map((path) => statSync(join(folder, path)).mode & 0o777);
    expect(modes).toEqual([0o755, 0o755, 0o700]);
    for (const path of ["/a/b", "/a/b/c/.", "/a/new/."])
      expect((await operate(agent, "mkdirs", `${folder}${path}`, { mode: 0o777 })).end).toMatchObject(done);
    expect(statSync(join(folder, "a/b")).mode & 0o777).toBe(0o755);
    expect((await operate(agent, "mkdirs", "/", { mode: 0o777 })).end).toMatchObject(done);
    symlinkSync("a", join(folder, "to-a"));
    expect((await operate(agent, "mkdirs", `${folder}/to-a`, { mode: 0o777 })).end).toMatchObject(done);
  });

  test("rename and remove do what their calls do", async () => {
    await using agent = await AgentProcess.start();
    writeFileSync(join(folder, "one"), "1");
    writeFileSync(join(folder, "two"), "2");
    const path = (name: string) => join(folder, name);
    expect((await operate(agent, "rename", path("one"), { second: path("two") })).end).toMatchObject(done);
    expect(readFileSync(path("two"), "utf8")).toBe("1");
    symlinkSync("two", path("link"));
    expect((await operate(agent, "remove", path("link"))).end).toMatchObject(done);
    expect((await operate(agent, "remove", path("two"))).end).toMatchObject(done);
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each<[Name, string, number, string?]>([
    ["stat", "none", ENOENT],
    ["stat", "broken", ENOENT],
    ["stat", "loop", ELOOP],
    ["stat", "file/below", ENOTDIR],
    ["lstat", "loop/x", ELOOP],
    ["lstat", "n".repeat(256), ENAMETOOLONG],
    ["list", "file", ENOTDIR],
    ["list", "none", ENOENT],
    ["mkdir", "full", EEXIST],
    ["mkdir", "broken", EEXIST],
    ["mkdir", "none/below", ENOENT],
    ["mkdirs", "file", EEXIST],
    ["mkdirs", "broken", EEXIST],
    ["mkdirs", "file/below", ENOTDIR],
    ["mkdirs", "file/far/below", ENOTDIR],
    ["rename", "none", ENOENT, "x"],
    ["rename", "file", EISDIR, "full"],
    ["rename", "empty", ENOTDIR, "file"],
    ["rename", "empty", ENOTEMPTY, "full"],
    ["rename", "full", EINVAL, "full/x"],
    ["rename", "file", ENOTDIR, "other/x"],
    ["remove", "empty", EISDIR],
    ["remove", "none", ENOENT],
  ])("%s of %s is refused with errno %i", async (name, path, errno, second) => {
    await using agent = await AgentProcess.start();
    for (const file of ["file", "other"]) writeFileSync(join(folder, file), "");
    mkdirSync(join(folder, "full/sub"), { recursive: true });
    mkdirSync(join(folder, "empty"));
    symlinkSync("nowhere", join(folder, "broken"));
    symlinkSync("loop", join(folder, "loop"));
    const before = readdirSync(folder, { recursive: true });
    const more = second === undefined ? {} : { second: join(folder, second) };
    const { entries, end } = await operate(agent, name, join(folder, path), more);
    expect({ entries, end }).toEqual({ entries: [], end: failed(errno, join(folder, path)) });
    expect(readdirSync(folder, { recursive: true })).toEqual(before);
  });

  test.each<[Name, string, string?]>([
    ["stat", "etc"],
    ["list", "."],
    ["mkdir", "boxrun-never-made"],
    ["rename", "/tmp/boxrun-none", "boxrun-never-made"],
  ])("%s of a relative path is refused", async (name, path, second) => {
    await using agent = await AgentProcess.start();
    const { end } = await operate(agent, name, path, second === undefined ? {} : { second });
    expect(end).toEqual(failed(EINVAL, path));
  });

  test.each<[Name, More]>([
    ["rename", {}],
    ["stat", { second: "/a" }],
  ])("%s with a second path that has no place breaks the protocol", async (name, more) => {
    await using agent = await AgentProcess.start();
    ask(agent, name, "/etc", more);
    expect(await agent.next(0)).toMatchObject({ type: "fail", stage: 1 });
  });

  test("is not served before the box is made", async () => {
    await using agent = await AgentProcess.start({ setup: false });
    ask(agent, "stat", "/");
    expect(await agent.next(0)).toMatchObject({ type: "fail", stage: 1 });
  });

  test("takes no data", async () => {
    await using agent = await AgentProcess.start();
    for (let i = 0; i < 400; i++) writeFileSync(join(folder, `${i}`), "");
    ask(agent, "list", folder, { window: MAX_ENTRY });
    agent.send({ type: "data", stream: 1, channel: "file", data: Uint8Array.of(1) });
    expect(await agent.next(0)).toMatchObject({ type: "fail", stage: 1 });
  });

  test("one operation more than there may be streams waits for no other", async () => {
    await using agent = await AgentProcess.start();
    for (let i = 0; i < 400; i++) writeFileSync(join(folder, `${i}`), "");
    for (let stream = 1; stream <= 256; stream++) ask(agent, "list", folder, { stream, window: MAX_ENTRY });
    ask(agent, "stat", folder, { stream: 257 });
    expect((await agent.result(257)).end).toMatchObject({ type: "fail", stage: STAGE.limit });
    agent.send({ type: "abort", stream: 1 });
    ask(agent, "stat", folder, { stream: 258 });
    expect((await agent.result(258)).end).toMatchObject({ type: "done" });
  });
});
