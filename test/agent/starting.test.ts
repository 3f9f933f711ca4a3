import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MAX_STREAMS } from "../../src/local/protocol/frame-types.js";
import { underFuse, whyNoFuse } from "../fuse.js";
import { AgentProcess, BOXES, processStat, whySkipped as whyNoAgent } from "./agent-process.js";

const [SIGKILL, SIGTERM, SIGHUP, ENOENT] = [9, 15, 1, 2];
const STAGE = { cwd: 4, exec: 5 };
const whySkipped = whyNoAgent ?? whyNoFuse();
const [, volumes] = BOXES[1]!;

let folder: string;
let hanging: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-starting-"));
  hanging = join(folder, "hanging");
  mkdirSync(hanging);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** An agent beside a file system that hangs, as a volume may. */
const start = () => AgentProcess.start({ volumes, within: (command) => underFuse(hanging, command) });

/** From now on, whoever asks the file system waits until it is killed. */
async function deafen(agent: AgentProcess): Promise<void> {
  agent.exec(99, ["true"], { cwd: join(hanging, "deaf") });
  expect((await agent.result(99)).end).toMatchObject({ type: "fail", stage: STAGE.cwd, errno: ENOENT });
}

/** Shows that another command is served at once. */
async function echo(agent: AgentProcess): Promise<void> {
  agent.exec(50, ["echo", "lives"]);
  expect((await agent.result(50)).stdout).toBe("lives\n");
}

const typesOf = (frames: readonly { type: string }[]) => frames.map(({ type }) => type);

describe.skipIf(whySkipped)(
  `commands in a volume that hangs${whySkipped ? ` (skipped: ${whySkipped})` : ""}`,
  () => {
    test.each([
      ["working directory", () => ({ argv: ["true"], cwd: join(hanging, "stuck") })],
      ["program", () => ({ argv: [join(hanging, "stuck")], cwd: "/" })],
      [
        "program by PATH",
        () => ({ argv: ["stuck"], cwd: "/", env: [`PATH=${hanging}:${process.env["PATH"]}`] }),
      ],
    ])("wait alone, by their %s", async (_, command) => {
      await using agent = await start();
      const { argv, ...options } = command();
      agent.exec(1, argv, options);
      while (!existsSync(`${hanging}.asked`)) await echo(agent);
      await echo(agent);
      expect(agent.frames.filter(({ stream }) => stream === 1)).toEqual([]);
    });

    test.each([
      ["killed", { type: "signal", stream: 1, signal: SIGKILL }, SIGKILL],
      ["asked to end", { type: "terminate", stream: 1, graceMs: 60_000 }, SIGTERM],
      ["sent a signal", { type: "signal", stream: 1, signal: SIGTERM }, SIGTERM],
    ] as const)("end when they are %s", async (_, frame, signal) => {
      await using agent = await start();
      await deafen(agent);
      agent.exec(1, ["true"], { cwd: join(hanging, "a") });
      await echo(agent);
      agent.send(frame);
      const { frames, end } = await agent.result(1);
      expect(typesOf(frames)).toEqual(["started", "exit"]);
      expect(end).toMatchObject({ how: "signaled", value: signal });
    });

    test("end at once, even if they are killed before they have begun", async () => {
      await using agent = await start();
      await deafen(agent);
      agent.exec(1, ["true"], { cwd: join(hanging, "a") });
      agent.send({ type: "signal", stream: 1, signal: SIGKILL });
      expect((await agent.result(1)).end).toMatchObject({ how: "signaled", value: SIGKILL });
    });

    test("end with their terminal", async () => {
      await using agent = await start();
      await deafen(agent);
      const [cwd, env] = [join(hanging, "a"), [`PATH=${process.env["PATH"]}`]];
      const size = { cols: 80, rows: 24 };
      agent.send({ type: "terminal", stream: 1, window: 1 << 20, ...size, cwd, argv: ["sh"], env });
      await echo(agent);
      agent.send({ type: "resize", stream: 1, cols: 100, rows: 30 }, { type: "eof", stream: 1 });
      expect((await agent.result(1)).end).toMatchObject({ how: "signaled", value: SIGHUP });
    });

    test("end with their box, whose shutdown goes on", async () => {
      await using agent = await start();
      await deafen(agent);
      agent.exec(1, ["true"], { cwd: join(hanging, "a"), stdin: true });
      await echo(agent);
      agent.send({ type: "shutdown", stream: 0, graceMs: 60_000 });
      expect((await agent.result(1)).end).toMatchObject({ how: "signaled", value: SIGTERM });
      expect(await agent.next(0)).toEqual({ type: "done", stream: 0, bytes: 0 });
    });

    test("hold no pipe of another command", async () => {
      await using agent = await start();
      await deafen(agent);
      agent.exec(2, ["cat"], { stdin: true });
      await agent.next(2, "started");
      agent.exec(1, ["true"], { cwd: join(hanging, "a") });
      await echo(agent);
      agent.send({ type: "eof", stream: 2 });
      expect((await agent.result(2)).end).toMatchObject({ how: "exited", value: 0 });
    });

    test("may be as many as there are streams", async () => {
      await using agent = await start();
      await deafen(agent);
      for (let stream = 100; stream < 100 + MAX_STREAMS - 1; stream++)
        agent.exec(stream, ["true"], { cwd: join(hanging, `${stream}`), stdin: true });
      await echo(agent);
      for (let stream = 100; stream < 100 + MAX_STREAMS - 1; stream++)
        agent.send({ type: "signal", stream, signal: SIGKILL });
      for (let stream = 100; stream < 100 + MAX_STREAMS - 1; stream++)
        expect((await agent.result(stream)).end).toMatchObject({ how: "signaled", value: SIGKILL });
    });
  },
);

describe.skipIf(whyNoAgent)(
  `a command in a box with volumes${whyNoAgent ? ` (skipped: ${whyNoAgent})` : ""}`,
  () => {
    test("has its input before it starts, and an end of that", async () => {
      await using agent = await AgentProcess.start({ volumes });
      const data = new TextEncoder().encode("input");
      agent.exec(1, ["cat"], { stdin: true });
      agent.send({ type: "data", stream: 1, channel: "stdin", data }, { type: "eof", stream: 1 });
      const { frames, stdout } = await agent.result(1);
      expect(stdout).toBe("input");
      expect(typesOf(frames).indexOf("started")).toBeLessThan(typesOf(frames).indexOf("data"));
    });

    test("leaves nothing of a start that failed", async () => {
      await using agent = await AgentProcess.start({ volumes });
      const open = () => readdirSync(`/proc/${agent.pid}/fd`).length;
      const children = () =>
        readdirSync("/proc").filter((name) => processStat(Number(name))?.parent === agent.pid);
      const before = open();
      const long = `/${"x".repeat(2000)}`;
      for (let i = 0; i < 20; i++) {
        agent.exec(1, ["true"], { cwd: long, stdin: true });
        expect((await agent.result(1)).end).toMatchObject({ detail: long.slice(0, 1024) });
      }
      while (open() > before || children().length > 0) await agent.settled();
      expect(readFileSync(`/proc/${agent.pid}/limits`, "utf8")).toMatch(/open files +4096 +4096/);
    });
  },
);
