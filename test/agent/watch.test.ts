import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { FileChange } from "../../src/contract/types.js";
import { decodeChanges } from "../../src/local/guest/changes.js";
import { MAX_CHANGE, WATCH_RECURSIVE } from "../../src/local/protocol/frame-types.js";
import { AgentProcess, processStat, whySkipped } from "./agent-process.js";

const [ENOENT, EINVAL, ELOOP, ECANCELED, ESHUTDOWN] = [2, 22, 40, 125, 108];
const STREAM = 7;

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "boxrun-watch-")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (...names: string[]) => join(folder, ...names);

interface Options {
  recursive?: boolean;
  window?: number;
  /** @default the folder of the test */
  path?: string;
  stream?: number;
}

function send(agent: AgentProcess, options: Options = {}): void {
  const { recursive = false, window = 1 << 20, path = folder, stream = STREAM } = options;
  agent.send({ type: "watch", stream, flags: recursive ? WATCH_RECURSIVE : 0, window, path });
}

async function watch(agent: AgentProcess, options?: Options): Promise<void> {
  send(agent, options);
  await agent.next(options?.stream ?? STREAM, "started");
}

/** Paths are shown without the folder of the test. */
const shownPath = (path: Uint8Array) => Buffer.from(path).toString("latin1").replace(folder, "") || "/";

/** Takes changes up to one, without those that repeat the one before. */
async function until(agent: AgentProcess, last: string): Promise<string[]> {
  const seen: string[] = [];
  for (;;) {
    const waiting = untaken.get(agent) ?? [];
    for (let shown = waiting.shift(); shown; shown = waiting.shift()) {
      if (seen.at(-1) !== shown) seen.push(shown);
      if (shown === last) return seen;
    }
    const frame = await agent.next(STREAM);
    if (frame.type !== "data") throw new Error(`${frame.type} came, after ${seen.join(", ")}`);
    untaken.set(agent, decodeChanges(frame.data).map(show));
  }
}

const untaken = new WeakMap<AgentProcess, string[]>();

function show(change: FileChange): string {
  const from = change.type === "renamed" ? `${shownPath(change.from)} ` : "";
  return `${change.type} ${from}${shownPath(change.path)}`;
}

/** Processes that the agent has started. */
const helpers = (agent: AgentProcess): number[] =>
  readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, "utf8")
    .trim()
    .split(" ")
    .filter(Boolean)
    .map(Number);

/** Resolves once a process has ended. */
const ended = (pid: number) => expect.poll(() => processStat(pid)?.state ?? "Z").toBe("Z");

describe.skipIf(whySkipped)(`watches${whySkipped ? ` (skipped: ${whySkipped})` : ""}`, () => {
  test("entries of a directory are told of, in order, and nothing below", async () => {
    mkdirSync(at("inner"));
    await using agent = await AgentProcess.start();
    await watch(agent);
    writeFileSync(at("file"), "");
    appendFileSync(at("file"), "more");
    chmodSync(at("file"), 0o600);
    utimesSync(at("inner"), 1, 1);
    writeFileSync(at("inner/unseen"), "");
    renameSync(at("file"), at("other"));
    renameSync(at("other"), at("inner/away"));
    renameSync(at("inner/away"), at("back"));
    unlinkSync(at("back"));
    symlinkSync("nowhere", at("link"));
    mkdirSync(at("last"));
    expect(await until(agent, "created /last")).toEqual([
      "created /file",
      "changed /file",
      "changed /inner",
      "renamed /file /other",
      "removed /other",
      "created /back",
      "removed /back",
      "created /link",
      "created /last",
    ]);
  });

  test("with all below, new directories are watched, and told of with what they have", async () => {
    mkdirSync(at("tree/deep"), { recursive: true });
    mkdirSync(at("outside/full/fuller"), { recursive: true });
    writeFileSync(at("outside/full/fuller/file"), "");
    mkdirSync(at("root"));
    renameSync(at("tree"), at("root/tree"));
    await using agent = await AgentProcess.start();
    await watch(agent, { path: at("root"), recursive: true });
    writeFileSync(at("root/tree/deep/file"), "");
    expect(await until(agent, "created /root/tree/deep/file")).toEqual(["created /root/tree/deep/file"]);
    renameSync(at("outside/full"), at("root/full"));
    const found = await until(agent, "created /root/full/fuller/file");
    expect(found.slice(-3)).toEqual([
      "created /root/full",
      "created /root/full/fuller",
      "created /root/full/fuller/file",
    ]);
    renameSync(at("root/full"), at("root/tree/moved"));
    appendFileSync(at("root/tree/moved/fuller/file"), "x");
    expect(await until(agent, "changed /root/tree/moved/fuller/file")).toEqual([
      "renamed /root/full /root/tree/moved",
      "changed /root/tree/moved/fuller/file",
    ]);
    renameSync(at("root/tree/moved"), at("outside/moved"));
    appendFileSync(at("outside/moved/fuller/file"), "unseen");
    rmSync(at("root/tree"), { recursive: true });
    expect(await until(agent, "removed /root/tree")).toEqual([
      "removed /root/tree/moved",
      "removed /root/tree/deep/file",
      "removed /root/tree/deep",
      "removed /root/tree",
    ]);
  });

  test("whatever is made at once in new directories is told of once", async () => {
    await using agent = await AgentProcess.start();
    await watch(agent, { recursive: true });
    const script =
      "for i in 1 2 3 4 5 6 7 8 9; do mkdir -p $i/a/b/c; echo > $i/a/b/c/x; echo > $i/y; done; echo > z";
    execFileSync("sh", ["-c", script], { cwd: folder });
    const created = (await until(agent, "created /z")).filter((change) => change.startsWith("created"));
    const expected = [1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((i) =>
      ["", "/a", "/a/b", "/a/b/c", "/a/b/c/x", "/y"].map((path) => `created /${i}${path}`),
    );
    expect(created.toSorted()).toEqual([...expected, "created /z"].toSorted());
  });

  test("directories may exchange their places, and names come again", async () => {
    for (const name of ["a/in-a", "b/in-b"]) mkdirSync(at(name), { recursive: true });
    await using agent = await AgentProcess.start();
    await watch(agent, { recursive: true });
    renameSync(at("a"), at("c"));
    renameSync(at("b"), at("a"));
    renameSync(at("c"), at("b"));
    writeFileSync(at("a/in-b/1"), "");
    writeFileSync(at("b/in-a/2"), "");
    expect((await until(agent, "created /b/in-a/2")).slice(-2)).toEqual([
      "created /a/in-b/1",
      "created /b/in-a/2",
    ]);
    rmSync(at("a"), { recursive: true });
    mkdirSync(at("a"));
    renameSync(at("a"), at("again"));
    writeFileSync(at("again/3"), "");
    const seen = await until(agent, "created /again/3");
    expect(seen.slice(-2)).toEqual(["renamed /a /again", "created /again/3"]);
  });

  test("a directory is watched that is moved before the watch sees it", async () => {
    await using agent = await AgentProcess.start();
    await watch(agent, { recursive: true });
    const [helper] = helpers(agent);
    process.kill(helper!, "SIGSTOP");
    mkdirSync(at("new/inner"), { recursive: true });
    renameSync(at("new"), at("moved"));
    process.kill(helper!, "SIGCONT");
    expect(await until(agent, "created /moved/inner")).toEqual([
      "created /new",
      "renamed /new /moved",
      "created /moved/inner",
    ]);
    writeFileSync(at("moved/inner/file"), "");
    expect(await until(agent, "created /moved/inner/file")).toEqual(["created /moved/inner/file"]);
  });

  test("a file is watched through replacements, up to its removal", async () => {
    writeFileSync(at("file"), "1");
    symlinkSync("file", at("link"));
    await using agent = await AgentProcess.start();
    await watch(agent, { path: at("link") });
    writeFileSync(at("neighbour"), "");
    appendFileSync(at("file"), "2");
    renameSync(at("neighbour"), at("file"));
    appendFileSync(at("file"), "3");
    unlinkSync(at("file"));
    expect(await until(agent, "removed /link")).toEqual([
      "changed /link",
      "created /link",
      "changed /link",
      "removed /link",
    ]);
    expect(await agent.next(STREAM)).toMatchObject({ type: "done" });
  });

  test.each([
    ["removed", (path: string) => rmdirSync(path)],
    ["moved", (path: string) => renameSync(path, at("elsewhere"))],
  ])("a watch ends when its directory is %s, even if somebody works there", async (_what, change) => {
    mkdirSync(at("root"));
    await using agent = await AgentProcess.start();
    agent.exec(1, ["sleep", "1000"], { cwd: at("root") });
    await agent.next(1, "started");
    await watch(agent, { path: at("root/"), recursive: true });
    const [, helper] = helpers(agent);
    change(at("root"));
    expect(await until(agent, "removed /root")).toEqual(["removed /root"]);
    expect(await agent.next(STREAM)).toMatchObject({ type: "done" });
    await ended(helper!);
    agent.send({ type: "terminate", stream: 1, graceMs: 0 });
    await agent.next(1, "exit");
  });

  test("a file that is written beside its place is told of in its place alone", async () => {
    await using agent = await AgentProcess.start();
    await watch(agent);
    agent.send({ type: "put", stream: 1, flags: 0, mode: 0o644, path: at("put") });
    agent.send(
      { type: "data", stream: 1, channel: "file", data: Buffer.from("x") },
      { type: "eof", stream: 1 },
    );
    agent.send(
      { type: "put", stream: 2, flags: 0, mode: 0o644, path: at("never") },
      { type: "abort", stream: 2 },
    );
    await Promise.all([agent.result(1), agent.result(2)]);
    writeFileSync(at("last"), "");
    expect(await until(agent, "created /last")).toEqual(["created /put", "created /last"]);
  });

  test("names are bytes, and hard links names", async () => {
    const name = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x80, 0x20])]);
    await using agent = await AgentProcess.start();
    await watch(agent);
    writeFileSync(name, "");
    linkSync(name, at("second"));
    unlinkSync(at("second"));
    expect(await until(agent, "removed /second")).toEqual([
      "created /\xff\x80\x20",
      "created /second",
      "removed /second",
    ]);
  });

  test("what cannot be watched is said, and nothing is left", async () => {
    symlinkSync("loop", at("loop"));
    await using agent = await AgentProcess.start();
    for (const [path, errno] of [
      [at("missing"), ENOENT],
      [at("loop"), ELOOP],
      ["relative", EINVAL],
    ] as const) {
      send(agent, { path });
      expect(await agent.next(STREAM)).toMatchObject({ type: "fail", errno, stage: 6, detail: path });
    }
    await expect.poll(() => helpers(agent)).toEqual([]);
  });

  test.each([
    ["ABORT", { type: "abort", stream: STREAM }, { errno: ECANCELED }],
    ["SHUTDOWN", { type: "shutdown", stream: 0, graceMs: 0 }, { errno: ESHUTDOWN }],
  ] as const)("%s ends a watch and its helper", async (_name, frame, end) => {
    await using agent = await AgentProcess.start();
    await watch(agent, { recursive: true });
    expect(helpers(agent)).toHaveLength(1);
    agent.send(frame);
    expect(await agent.next(STREAM)).toMatchObject({ type: "fail", ...end });
    await expect.poll(() => helpers(agent)).toEqual([]);
  });

  test("a helper that was killed is replaced, and the host learns that it may have missed something", async () => {
    await using agent = await AgentProcess.start();
    await watch(agent, { recursive: true });
    for (const round of [1, 2]) {
      process.kill(helpers(agent)[0]!, "SIGKILL");
      expect(await until(agent, "overflow /")).toEqual(["overflow /"]);
      writeFileSync(at(`file-${round}`), "");
      await until(agent, `created /file-${round}`);
    }
    process.kill(helpers(agent)[0]!, "SIGSTOP");
    rmSync(folder, { recursive: true });
    process.kill(helpers(agent)[0]!, "SIGKILL");
    await until(agent, "removed /");
    expect(await agent.next(STREAM)).toMatchObject({ type: "done" });
  });

  test("without credit nothing is sent, and what does not fit is told of as missing", async () => {
    await using agent = await AgentProcess.start();
    await watch(agent, { recursive: true, window: MAX_CHANGE });
    const queue = Number(readFileSync("/proc/sys/fs/inotify/max_queued_events", "utf8"));
    const [one, other] = ["one", "other"].map((name) => openSync(at(name), "w")) as [number, number];
    // The kernel joins what repeats the event before.
    for (let i = 0; i < queue + 10_000; i++) writeSync(i % 2 ? one : other, "x");
    for (const fd of [one, other]) closeSync(fd);
    await agent.settled();
    const sent = agent.frames.map((frame) => (frame.type === "data" ? frame.data.byteLength : 0));
    expect(sent.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(MAX_CHANGE);
    agent.send({ type: "credit", stream: STREAM, bytes: (16 << 20) - MAX_CHANGE });
    await until(agent, "overflow /");
    writeFileSync(at("last"), "");
    await until(agent, "created /last");
  });

  test("other streams go on while a large tree is looked at", async () => {
    for (let i = 0; i < 1500; i++) mkdirSync(at(`${i % 50}/${i}`), { recursive: true });
    await using agent = await AgentProcess.start();
    send(agent, { recursive: true });
    agent.send({ type: "ping", stream: 0, token: 1 });
    await agent.next(0, "pong");
    expect(agent.received.at(-1)).toMatchObject({ type: "pong" });
    await agent.next(STREAM, "started");
  });

  test("a directory on which something is mounted is not entered", async () => {
    await using agent = await AgentProcess.start();
    await watch(agent, { path: "/dev", recursive: true });
    const folderOfFds = `/proc/${helpers(agent)[0]}/fdinfo`;
    const infos = readdirSync(folderOfFds).map((fd) => readFileSync(join(folderOfFds, fd), "utf8"));
    const devices = [...infos.join("").matchAll(/^inotify .* sdev:(\w+) /gm)].map(([, device]) => device);
    // The root of all, which has /dev, and /dev.
    expect(new Set(devices).size).toBe(2);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).toContain(" /dev/");
  });
});

describe.skipIf(whySkipped)(`touches${whySkipped ? ` (skipped: ${whySkipped})` : ""}`, () => {
  test("whoever watches a file sees it change, by a time that means nothing", async () => {
    mkdirSync(at("out"));
    writeFileSync(at("file"), "contents");
    utimesSync(at("file"), 1.5, 2.25);
    symlinkSync("nowhere", at("link"));
    symlinkSync("..", at("out/of"));
    await using agent = await AgentProcess.start();
    await watch(agent);
    const touch = (...names: string[]) => agent.send({ type: "touch", stream: 0, path: at(...names) });
    for (const name of ["out/of/file", "file", "missing", "link"]) touch(name);
    expect(await until(agent, "changed /link")).toEqual(["changed /file", "changed /link"]);
    expect(statSync(at("file"))).toMatchObject({ atimeMs: 1500, size: 8 });
    expect(statSync(at("file")).mtimeMs).toBeGreaterThan(Date.now());
    // Its helper is the second.
    process.kill(helpers(agent)[1]!, "SIGKILL");
    await expect.poll(() => helpers(agent).length).toBe(1);
    touch("file");
    expect(await until(agent, "changed /file")).toEqual(["changed /file"]);
    agent.send({ type: "shutdown", stream: 0, graceMs: 0 });
    await agent.next(0, "done");
    touch("file");
    await agent.settled();
    expect(helpers(agent)).toEqual([]);
  });
});
