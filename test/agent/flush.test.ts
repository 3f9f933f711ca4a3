import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { FILE_OPERATIONS, type GuestFrame } from "../../src/local/protocol/frame-types.js";
import { AgentProcess, whySkipped } from "./agent-process.js";

const scratch = mkdtempSync(join(tmpdir(), "boxrun-test-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** An agent whose box is made and flushed. */
async function quietAgent(): Promise<AgentProcess> {
  const agent = await AgentProcess.start();
  await agent.flushed(1);
  return agent;
}

/** Resolves when every flush that is due has begun. */
const longerThanInterval = () => once(spawn("sleep", ["1"]), "exit");

const typesOf = (frames: GuestFrame[]) => frames.map(({ type }) => type);

/** The types of what comes from now on, until another flush has ended. */
async function typesUntilFlushed(agent: AgentProcess): Promise<string[]> {
  const { length } = agent.received;
  await agent.flushed(agent.received.filter(({ type }) => type === "flushed").length + 1);
  return typesOf(agent.received.slice(length));
}

describe.skipIf(whySkipped)(`the agent's flushes${whySkipped ? ` (skipped: ${whySkipped})` : ""}`, () => {
  test("the first follows READY, since making the box has written", async () => {
    await using agent = await AgentProcess.start();
    await agent.flushed(1);
    expect(typesOf(agent.received)).toEqual(["hello", "ready", "flush", "flushed"]);
    expect(agent.received.at(-1)).toEqual({ type: "flushed", stream: 0, errno: 0 });
  });

  test("one follows the end of a command, of a PUT and of what changes directories", async () => {
    await using agent = await quietAgent();
    agent.shell(1, "true");
    const { end } = await agent.result(1);
    expect(end).toMatchObject({ type: "exit" });
    const types = await typesUntilFlushed(agent);
    expect(types.slice(-2)).toEqual(["flush", "flushed"]);
    agent.send({ type: "put", stream: 2, flags: 0, mode: 0o600, path: join(scratch, "put") });
    agent.send(
      { type: "data", stream: 2, channel: "file", data: Uint8Array.of(1) },
      { type: "eof", stream: 2 },
    );
    expect(await typesUntilFlushed(agent)).toEqual(["credit", "done", "flush", "flushed"]);
    for (const [operation, name] of [
      [FILE_OPERATIONS.mkdir, "folder"],
      [FILE_OPERATIONS.mkdirs, "folder/in/folder"],
      [FILE_OPERATIONS.remove, "put"],
    ] as const) {
      const path = join(scratch, name);
      agent.send({ type: "file", stream: 3, operation, mode: 0o700, window: 4096, path, second: "" });
      expect(await typesUntilFlushed(agent)).toEqual(["done", "flush", "flushed"]);
    }
  });

  test("they go on while a command runs, and while a file is on its way", async () => {
    await using agent = await quietAgent();
    agent.exec(1, ["cat"], { stdin: true });
    for (let i = 0; i < 3; i++)
      expect((await typesUntilFlushed(agent)).slice(-2)).toEqual(["flush", "flushed"]);
    agent.send({ type: "eof", stream: 1 });
    await agent.result(1);
    await typesUntilFlushed(agent);
    agent.send({ type: "put", stream: 2, flags: 0, mode: 0o600, path: join(scratch, "half") });
    agent.send({ type: "data", stream: 2, channel: "file", data: Uint8Array.of(1) });
    expect(await typesUntilFlushed(agent)).toEqual(["credit", "flush", "flushed"]);
  });

  test("what ends in a row shares one", async () => {
    await using agent = await quietAgent();
    const operation = {
      type: "file",
      operation: FILE_OPERATIONS.mkdirs,
      mode: 0o700,
      window: 4096,
      second: "",
    } as const;
    const operations = Array.from({ length: 50 }, (_, at) => ({
      ...operation,
      stream: at + 1,
      path: join(scratch, `row${at}`),
    }));
    // It stands still until all of it is there, and takes it in one turn.
    process.kill(agent.pid, "SIGSTOP");
    await agent.sent(...operations);
    process.kill(agent.pid, "SIGCONT");
    expect(await typesUntilFlushed(agent)).toEqual([...operations.map(() => "done"), "flush", "flushed"]);
  });

  test("none follows what only reads, and none comes before there is a box", async () => {
    await using agent = await AgentProcess.start({ setup: false });
    agent.shell(1, "true");
    await agent.result(1);
    agent.setup();
    await agent.flushed(1);
    const stat = {
      type: "file",
      operation: FILE_OPERATIONS.stat,
      mode: 0,
      window: 4096,
      second: "",
    } as const;
    agent.send({ ...stat, stream: 2, path: "/" }, { ...stat, stream: 3, path: "/nowhere" });
    agent.send({ type: "get", stream: 4, window: 4096, path: "/proc/version" });
    await agent.result(4);
    await longerThanInterval();
    await agent.settled();
    const types = typesOf(agent.received);
    expect(types.filter((type) => type === "flush")).toHaveLength(1);
  });

  test("SHUTDOWN leaves none behind", async () => {
    await using agent = await quietAgent();
    agent.shell(1, "exec sleep 1000");
    await agent.next(1, "started");
    agent.send({ type: "shutdown", stream: 0, graceMs: 1000 });
    await agent.next(0, "done");
    const { length } = agent.received;
    await longerThanInterval();
    await agent.settled();
    expect(typesOf(agent.received.slice(length)).filter((type) => type === "flush")).toEqual([]);
  });
});
