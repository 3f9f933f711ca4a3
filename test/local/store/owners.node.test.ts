import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { BoxRunClient } from "boxrun";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { failure } from "../../../src/testing/contract/tools.js";
import { ROOT } from "../../root.js";

/** Makes a box and prints what a command in it prints, until it is killed, or told to close its client. */
const OWNER = `
  import { BoxRunClient } from "boxrun";
  const [, state, name, command] = process.argv;
  const client = new BoxRunClient({ backend: "local", local: { state } });
  process.once("SIGTERM", () => client.close());
  const box = await client.create("tiny", { name, memoryMb: 256 });
  console.log("ready");
  for await (const event of await box.execStream(command))
    if (event.type === "log") process.stdout.write(event.data);
`;
let state: string;
let client: BoxRunClient;
const owners: ChildProcess[] = [];
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
  client = new BoxRunClient({ backend: "local", local: { state } });
});
afterEach(async () => {
  for (const owner of owners.splice(0)) owner.kill("SIGKILL");
  await client.close();
  rmSync(state, { recursive: true, force: true });
});

/** Another process that makes a box, runs a command in it, and closes its client when it gets TERM. */
function startOwner(name: string, command: string) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", OWNER, state, name, command], {
    stdio: ["ignore", "pipe", "inherit"],
    cwd: ROOT,
  });
  owners.push(child);
  return { child, lines: createInterface(child.stdout!)[Symbol.asyncIterator]() };
}

/**
 * Watches a box of this name. Resolves once it has seen what is there now, to a function that waits for a status, and resolves to all statuses that the box was seen in; null: it is not there.
 */
async function watchStatuses(name: string) {
  const watch = client.watchBoxes();
  const next = async () => {
    const { value } = await watch.next();
    if (!value) throw new Error("the watch has ended");
    return value.find((info) => info.name === name)?.status ?? null;
  };
  const seen: (string | null)[] = [await next()];
  return async (last: string | null) => {
    while (seen.length === 1 || seen.at(-1) !== last) {
      const status = await next();
      if (status !== seen.at(-1)) seen.push(status);
    }
    await watch.return();
    return seen;
  };
}

describe("boxes of another process", () => {
  it("are seen as they are made and as their process is killed, and started then", async () => {
    const made = await watchStatuses("theirs");
    const owner = startOwner("theirs", "echo kept > /root/f; sync; echo written; sleep 7000");
    expect((await made("running")).filter((status) => status !== "creating")).toEqual([null, "running"]);
    await owner.lines.next();
    await owner.lines.next();
    const ended = await watchStatuses("theirs");
    const box = await client.getBox("theirs");
    expect(await failure(box.start())).toMatchObject({ code: "BOX_LOCKED" });
    owner.child.kill("SIGKILL");
    expect(await ended("stopped")).toEqual(["running", "stopped"]);
    await box.start();
    expect((await box.exec(["cat", "/root/f"])).stdout).toBe("kept\n");
  });

  it("are seen as their process closes its client, and as a third one starts and removes them", async () => {
    const owner = startOwner("theirs", "echo up; sleep 7000");
    await owner.lines.next();
    await owner.lines.next();
    const closed = await watchStatuses("theirs");
    owner.child.kill("SIGTERM");
    expect(await closed("stopped")).toEqual(["running", "stopped"]);
    const gone = await watchStatuses("theirs");
    const script = `
      import { BoxRunClient } from "boxrun";
      const box = await new BoxRunClient({ backend: "local", local: { state: process.argv[1] } }).getBox("theirs");
      await box.start();
      await box.remove({ force: true });
    `;
    owners.push(spawn(process.execPath, ["--input-type=module", "-e", script, state], { cwd: ROOT }));
    // A box that runs for a moment only may be gone before anybody looks.
    expect((await gone(null)).filter((status) => status !== "running")).toEqual(["stopped", null]);
  });

  it("are BOX_LOCKED with whose they are and since when", async () => {
    const begun = Date.now();
    const owner = startOwner("theirs", "echo up; sleep 7000");
    await owner.lines.next();
    const box = await client.getBox("theirs");
    const error = await failure(box.exec(["true"]));
    expect(error).toMatchObject({ code: "BOX_LOCKED", retryable: true });
    const { owner: who, since } = error.cause as { owner: string; since: Date };
    expect(who).toMatch(new RegExp(`^process ${owner.child.pid} \\(node ${state}\\) on \\S+$`));
    expect(since.getTime()).toBeGreaterThan(begun);
    expect(since.getTime()).toBeLessThan(Date.now());
    expect(error.message).toContain(`${who}, since ${since.toISOString()}`);
    expect(await failure(box.forward(80))).toMatchObject({ code: "BOX_LOCKED" });
    expect(await failure(box.preview(80))).toMatchObject({ code: "BOX_LOCKED" });
  });
});

it("tells of a box that is being removed as of one that is gone, and of its commands, too", async () => {
  const box = await client.create("tiny", { memoryMb: 256 });
  const execution = await box.execStream(["sleep", "7081"]);
  let isRemoved = false;
  const removing = box.remove({ force: true }).finally(() => {
    isRemoved = true;
  });
  const told = new Set<string>();
  while (!isRemoved) {
    const asked = await execution.info().then(
      ({ status }) => status,
      ({ code }) => code,
    );
    told.add(asked);
    await new Promise(setImmediate);
  }
  await removing;
  expect([...told].filter((what) => what !== "running")).toEqual(["BOX_NOT_FOUND"]);
});

describe("who watches boxes", () => {
  it("comes to an end when the client is closed, and keeps its process alive until then", async () => {
    const script = `
      import { BoxRunClient } from "boxrun";
      const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
      setTimeout(() => client.close(), 500).unref();
      for await (const boxes of client.watchBoxes()) console.log(boxes.length);
      console.log("over");
      console.log((await client.watchBoxes().next().catch((error) => error)).code);
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: ROOT,
    });
    owners.push(child);
    const lines: string[] = [];
    for await (const line of createInterface(child.stdout!)) lines.push(line);
    expect(lines).toEqual(["0", "over", "VALIDATION_ERROR"]);
  });
});
