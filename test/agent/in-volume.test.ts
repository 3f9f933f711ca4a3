import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeEntries } from "../../src/local/guest/file-entries.js";
import { FILE_OPERATIONS, type GuestFrame, MAX_PATH } from "../../src/local/protocol/frame-types.js";
import { AgentProcess, whySkipped } from "./agent-process.js";

const [ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP, EOVERFLOW] = [2, 20, 36, 40, 75];
const OPEN = 6;
const ROOT = 1;

interface Mount {
  id: number;
  /** @default the root */
  parent?: number;
  at: string;
  root?: string;
  /** @default "9p" */
  type?: string;
}

/**
 * The mounts of a box, of which none is there: a system call on one would find nothing. Some of them lie on others, as the kernel tells by `parent`.
 */
const MOUNTS: readonly Mount[] = [
  { id: 10, at: "work", root: "/0" },
  { id: 11, at: "a b\\c", root: "/1" },
  { id: 12, parent: 10, at: "work/nested/in", root: "/2" },
  { id: 13, at: "bind", root: "/0/sub dir" },
  { id: 14, at: "hidden/vol", root: "/3" },
  { id: 15, at: "hidden", type: "tmpfs" },
  { id: 16, at: "under", root: "/4" },
  { id: 17, parent: 16, at: "under", type: "tmpfs" },
  { id: 18, at: "over", type: "tmpfs" },
  { id: 19, parent: 18, at: "over", root: "/5" },
  { id: 20, parent: 10, at: "work/ours", type: "tmpfs" },
  { id: 21, at: "far", root: `/0/${"r".repeat(3000)}` },
  { id: 22, at: "mounted", root: "/6" },
];

let folder: string;
let list: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "boxrun-in-volume-")));
  list = join(folder, "mountinfo");
  writeMounts(MOUNTS);
  for (const made of ["deep", "hidden", "under", "mounted"]) mkdirSync(join(folder, made), { mode: 0o700 });
  writeFileSync(join(folder, "file"), "1234");
  const links = {
    link: join(folder, "work"),
    relative: "work/sub",
    around: `../${basename(folder)}/./deep/..//work`,
    chain: "chain2",
    chain2: "chain3/x",
    chain3: "work",
    loop: "loop",
    dangling: "nothing",
    away: "mounted",
    "deep/up": "../work",
    root: "/",
  };
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(folder, name));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes what the kernel would list, with some more that the agent has to pass over. */
function writeMounts(mounts: readonly Mount[]): void {
  const escaped = (path: string) =>
    path.replace(/[ \\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);
  const lines = mounts.map(({ id, parent = ROOT, at, root = "/", type = "9p" }) => {
    const options = id % 2 ? "rw,nosuid shared:3 master:1" : "rw";
    return `${id} ${parent} 0:21 ${escaped(root)} ${escaped(join(folder, at))} ${options} - ${type} host9p rw,trans=virtio`;
  });
  writeFileSync(list, [`${ROOT} 0 8:1 / / rw,relatime - overlay 9p rw`, ...lines, ""].join("\n"));
}

async function startAgent({ volumes = true } = {}): Promise<AgentProcess> {
  const agent = await AgentProcess.start({ setup: false, env: { BOXRUN_AGENT_MOUNTS: list } });
  agent.setup({ volumes: volumes ? [{ path: "/work", readonly: false }] : [] });
  await agent.next(0, "ready");
  return agent;
}

function ask(agent: AgentProcess, operation: keyof typeof FILE_OPERATIONS, path: string, second = "") {
  agent.send({
    type: "file",
    stream: 1,
    operation: FILE_OPERATIONS[operation],
    mode: 0o750,
    window: 1 << 20,
    path: join(folder, "/") + path,
    second: second && join(folder, "/") + second,
  });
  return agent.result(1);
}

const inVolume = (path: string, second = ""): GuestFrame => ({
  type: "volume",
  stream: 1,
  path: new Uint8Array(Buffer.from(path)),
  second: new Uint8Array(Buffer.from(second)),
});
const failed = (errno: number) => ({
  type: "fail",
  stream: 1,
  stage: OPEN,
  errno,
  detail: expect.anything(),
});
const done = { type: "done", stream: 1 };

describe.skipIf(whySkipped)(`paths in volumes${whySkipped ? ` (skipped: ${whySkipped})` : ""}`, () => {
  test.each([
    ["work", "/0"],
    ["work/", "/0/"],
    ["work/a/b", "/0/a/b"],
    ["work//a/./../b/", "/0//a/./../b/"],
    ["work/./a", "/0/./a"],
    [".//deep/../work/x", "/0/x"],
    ["link", "/0"],
    ["link/x", "/0/x"],
    ["relative/x", "/0/sub/x"],
    ["around", "/0"],
    ["chain/y", "/0/x/y"],
    ["deep/up/x", "/0/x"],
    ["a b\\c/x", "/1/x"],
    ["bind/x", "/0/sub dir/x"],
    ["work/nested/in/x", "/2/x"],
    ["work/nested/x", "/0/nested/x"],
    ["work/nested/in/../x", "/0/nested/x"],
    ["work/nested/in/../../x", "/0/nested/../x"],
    ["work/../link/x", "/0/x"],
    // A link may be anywhere before the "..".
    ["work/a/../../file", "/0/a/../../file"],
    ["over/x", "/5/x"],
  ])("%s is answered as %s in the volumes", async (path, found) => {
    await using agent = await startAgent();
    expect((await ask(agent, "stat", path)).end).toEqual(inVolume(found));
  });

  test("a path may go through the root", async () => {
    await using agent = await startAgent();
    const up = "/..".repeat(folder.split("/").length - 1);
    expect((await ask(agent, "stat", `root${folder}${up}${folder}/work/x`)).end).toEqual(inVolume("/0/x"));
  });

  test.each(["file", "deep", "mounted/../file", "mounted/./../file", "away/../file", "under", "hidden", "."])(
    "%s is the box's own",
    async (path) => {
      await using agent = await startAgent();
      expect((await ask(agent, "stat", path)).end).toMatchObject(done);
    },
  );

  test.each([
    ["hidden/vol/x", ENOENT],
    ["under/x", ENOENT],
    ["work/ours/x", ENOENT],
    ["missing/../work/x", ENOENT],
    ["dangling/x", ENOENT],
    ["workshop", ENOENT],
    ["wor", ENOENT],
    ["file/../work/x", ENOTDIR],
    ["loop", ELOOP],
    ["loop/x", ELOOP],
    [`far/${"x".repeat(200)}/${"y/".repeat(600)}`, ENAMETOOLONG],
  ])("%s fails as it would without volumes", async (path, errno) => {
    await using agent = await startAgent();
    expect((await ask(agent, "stat", path)).end).toEqual(failed(errno));
  });

  test.each(["lstat", "list", "mkdir", "mkdirs", "remove"] as const)(
    "%s leaves a volume to the host",
    async (name) => {
      await using agent = await startAgent();
      expect((await ask(agent, name, "work/x")).end).toEqual(inVolume("/0/x"));
      expect((await ask(agent, name, "work")).end).toEqual(inVolume("/0"));
      expect(existsSync(join(folder, "work"))).toBe(false);
    },
  );

  test("a link at the end of the path is followed if the operation does so, or a slash is behind it", async () => {
    await using agent = await startAgent();
    const { end, frames } = await ask(agent, "lstat", "link");
    expect(end).toMatchObject(done);
    expect(frames[0]).toMatchObject({ type: "data" });
    expect((await ask(agent, "list", "link")).end).toEqual(inVolume("/0"));
    expect((await ask(agent, "lstat", "link/")).end).toEqual(inVolume("/0/"));
    expect((await ask(agent, "lstat", "link/x")).end).toEqual(inVolume("/0/x"));
    expect((await ask(agent, "remove", "link")).end).toMatchObject(done);
    expect((await ask(agent, "stat", "link")).end).toEqual(failed(ENOENT));
  });

  test("as many links are followed as the kernel follows", async () => {
    await using agent = await startAgent();
    for (let at = 0; at <= 40; at++)
      symlinkSync(at === 0 ? "work" : `many${at - 1}`, join(folder, `many${at}`));
    expect((await ask(agent, "stat", "many39/x")).end).toEqual(inVolume("/0/x"));
    expect((await ask(agent, "stat", "many40/x")).end).toEqual(failed(ELOOP));
  });

  test("directories that are missing on the box's disk are made there", async () => {
    await using agent = await startAgent();
    expect((await ask(agent, "mkdirs", "new/work/x")).end).toMatchObject(done);
    expect(statSync(join(folder, "new/work/x")).mode & 0o777).toBe(0o750);
  });

  test.each([
    ["work/a", "file", inVolume("/0/a")],
    ["file", "work/a", inVolume("", "/0/a")],
    ["work/a", "bind/b/", inVolume("/0/a", "/0/sub dir/b/")],
    ["link", "bind/b", inVolume("", "/0/sub dir/b")],
  ])("a rename of %s to %s tells where both are", async (from, to, answer) => {
    await using agent = await startAgent();
    expect((await ask(agent, "rename", from, to)).end).toEqual(answer);
    expect(existsSync(join(folder, "file"))).toBe(true);
  });

  test("GET and PUT of a path in a volume end before anything else", async () => {
    await using agent = await startAgent();
    const path = join(folder, "link/x");
    agent.send({ type: "get", stream: 1, window: 0, path });
    expect((await agent.result(1)).frames).toEqual([inVolume("/0/x")]);
    agent.send({ type: "put", stream: 1, flags: 0, mode: 0o644, path });
    expect((await agent.result(1)).frames).toEqual([inVolume("/0/x")]);
    // Their ids are free.
    agent.send({ type: "put", stream: 1, flags: 0, mode: 0o644, path: join(folder, "dangling") });
    agent.send({ type: "eof", stream: 1 });
    expect((await agent.result(1)).end).toMatchObject(done);
    expect(existsSync(join(folder, "nothing"))).toBe(true);
  });

  test("an entry on which a volume is mounted is listed without being looked at", async () => {
    await using agent = await startAgent();
    mkdirSync(join(folder, "deep/mounted"), { mode: 0o700 });
    const entriesOf = async (path: string) => {
      const { file } = await ask(agent, "list", path);
      return new Map(decodeEntries(file).map((entry) => [Buffer.from(entry.name).toString(), entry]));
    };
    const entries = await entriesOf(".");
    const blank = { size: 0, mode: 0o755, type: "directory", uid: 0, gid: 0, modifiedAt: new Date(0) };
    expect(entries.get("mounted")).toMatchObject(blank);
    expect(entries.get("under")).toMatchObject({ mode: 0o700 });
    expect(entries.get("file")).toMatchObject({ size: 4 });
    expect((await entriesOf("deep")).get("mounted")).toMatchObject({ mode: 0o700 });
  });

  test("mounts count as they are when a path is used", async () => {
    await using agent = await startAgent();
    writeMounts([{ id: 10, at: "moved", root: "/0" }]);
    expect((await ask(agent, "stat", "moved/x")).end).toEqual(inVolume("/0/x"));
    expect((await ask(agent, "stat", "work/x")).end).toEqual(failed(ENOENT));
    writeMounts([]);
    expect((await ask(agent, "stat", "moved/x")).end).toEqual(failed(ENOENT));
  });

  test("a box with too many mounts is told so, rather than have the agent wait for a volume", async () => {
    await using agent = await startAgent();
    writeMounts(Array.from({ length: 5000 }, (_, at) => ({ id: 10 + at, at: "w", root: "/0" })));
    expect((await ask(agent, "stat", "file")).end).toEqual(failed(EOVERFLOW));
    writeMounts(Array.from({ length: 100 }, (_, at) => ({ id: 10 + at, at: "w".repeat(3000), root: "/0" })));
    expect((await ask(agent, "stat", "file")).end).toEqual(failed(EOVERFLOW));
    writeMounts(MOUNTS);
    expect((await ask(agent, "stat", "work")).end).toEqual(inVolume("/0"));
  });

  test("the longest paths of a rename are answered", async () => {
    await using agent = await startAgent();
    writeMounts([{ id: 10, at: "", root: "/" }]);
    const rest = "n".repeat(MAX_PATH - folder.length - 1);
    expect((await ask(agent, "rename", rest, rest)).end).toEqual(inVolume(`/${rest}`, `/${rest}`));
  });

  test("a box without volumes is not asked about its mounts", async () => {
    await using agent = await startAgent({ volumes: false });
    expect((await ask(agent, "stat", "work")).end).toEqual(failed(ENOENT));
  });
});
