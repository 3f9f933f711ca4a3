import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { GuestFrame } from "../../src/local/protocol/frame-types.js";
import { AgentProcess, BOXES, whySkipped } from "./agent-process.js";

const SIGKILL = 9;
const SIGHUP = 1;

interface Options {
  stream?: number;
  cols?: number;
  rows?: number;
  window?: number;
  env?: readonly string[];
}

function open(agent: AgentProcess, argv: readonly string[], options: Options = {}): void {
  const { stream = 1, cols = 80, rows = 24, window = 1 << 20, env = [] } = options;
  const all = [`PATH=${process.env["PATH"]}`, "PS1=", ...env];
  agent.send({ type: "terminal", stream, window, cols, rows, cwd: "/", argv, env: all });
}

const type = (agent: AgentProcess, text: string, stream = 1) =>
  agent.send({ type: "data", stream, channel: "stdin", data: new TextEncoder().encode(text) });

/** Shell text on a terminal, to its end. */
async function show(agent: AgentProcess, text: string, options: Options = {}) {
  open(agent, ["sh", "-c", text], options);
  return agent.result(options.stream ?? 1);
}

/** Takes what is shown until this is there. */
async function until(agent: AgentProcess, text: string, stream = 1): Promise<string> {
  let seen = "";
  while (!seen.includes(text)) {
    const frame: GuestFrame = await agent.next(stream);
    if (frame.type === "exit" || frame.type === "fail") throw new Error(`it ended after ${seen}`);
    if (frame.type !== "data") continue;
    seen += Buffer.from(frame.data).toString();
    agent.send({ type: "credit", stream, bytes: frame.data.byteLength });
  }
  return seen;
}

describe.skipIf(whySkipped).each(BOXES)(
  `terminals${whySkipped ? ` (skipped: ${whySkipped})` : ""}, %s`,
  (_box, volumes) => {
    const start = (options = {}) => AgentProcess.start({ volumes, ...options });
    test("are terminals, on all three streams, of the size that was asked for, and control their session", async () => {
      await using agent = await start();
      const { stdout, end } = await show(
        agent,
        "for fd in 0 1 2; do [ -t $fd ] && printf 'tty '; done; stty size; : > /dev/tty && echo controls; exit 3",
        { cols: 132, rows: 43 },
      );
      expect(stdout).toBe("tty tty tty 43 132\r\ncontrols\r\n");
      expect(end).toMatchObject({ type: "exit", how: "exited", value: 3 });
    });

    test("echo what is typed, edit lines, and end a command by its keys", async () => {
      await using agent = await start();
      open(agent, ["sh", "-i"]);
      type(agent, "echo ab\x7fc\n");
      await until(agent, "\r\nac\r\n");
      type(agent, "sh -c 'echo began; exec sleep 1000'\n");
      await until(agent, "began\r\n");
      type(agent, "\x03");
      type(agent, "echo next=$?\n");
      await until(agent, "next=130");
      type(agent, "\x04");
      expect((await agent.result(1)).end).toMatchObject({ type: "exit", how: "exited" });
    });

    test("do job control: a key stops the foreground group, fg goes on with it", async () => {
      await using agent = await start();
      open(agent, ["sh", "-i"]);
      type(agent, "sh -c 'echo began; read line; echo got $line'\n");
      await until(agent, "began\r\n");
      type(agent, "\x1a");
      await until(agent, "topped");
      type(agent, "fg\n");
      type(agent, "word\n");
      await until(agent, "got word\r\n");
      type(agent, "exit 5\n");
      expect((await agent.result(1)).end).toMatchObject({ type: "exit", how: "exited", value: 5 });
    });

    test("take another size while they run, and tell the foreground group", async () => {
      await using agent = await start();
      open(agent, ["sh", "-c", "trap 'stty size; exit 7' WINCH; echo ready; while :; do sleep 0.05; done"]);
      await until(agent, "ready");
      agent.send({ type: "resize", stream: 1, cols: 100, rows: 50 });
      const { stdout, end } = await agent.result(1);
      expect(stdout).toContain("50 100\r\n");
      expect(end).toMatchObject({ type: "exit", how: "exited", value: 7 });
      agent.send({ type: "resize", stream: 1, cols: 10, rows: 10 });
      expect((await show(agent, "echo on", { stream: 2 })).stdout).toBe("on\r\n");
    });

    test("hang up when they are closed: what runs on them gets SIGHUP", async () => {
      await using agent = await start();
      open(agent, ["sleep", "1000"]);
      await agent.next(1, "started");
      agent.send({ type: "eof", stream: 1 });
      expect((await agent.result(1)).end).toMatchObject({ type: "exit", how: "signaled", value: SIGHUP });
    });

    test("are killed a second later where SIGHUP is ignored", async () => {
      await using agent = await start();
      open(agent, ["sh", "-c", "trap '' HUP; echo $$; while :; do sleep 0.1; done"]);
      const pid = Number.parseInt(await until(agent, "\n"), 10);
      agent.send({ type: "eof", stream: 1 });
      expect((await agent.result(1)).end).toMatchObject({ type: "exit", how: "signaled", value: SIGKILL });
      expect(existsSync(`/proc/${pid}`)).toBe(false);
    });

    test("leave what runs in their foreground a second to save its work when its shell ends at once", async () => {
      await using agent = await start();
      using folder = temporary();
      const saved = join(folder.path, "saved");
      const editor = `trap 'sleep 0.3; echo saved > ${saved}; exit' HUP; echo ready; while :; do sleep 0.01; done`;
      open(agent, ["bash", "-c", `set -m; sh -c "${editor}"; exit`]);
      await until(agent, "ready");
      agent.send({ type: "eof", stream: 1 });
      expect((await agent.result(1)).end).toMatchObject({ type: "exit", how: "signaled", value: SIGHUP });
      expect(readFileSync(saved, "utf8")).toBe("saved\n");
    });

    test("end every job of their shell, whatever it ignores and however it is called", async () => {
      await using agent = await start();
      using folder = temporary();
      // To who takes the first parenthesis for the end of its name, a zombie.
      const program = join(folder.path, "a) Z (b");
      copyFileSync("/bin/sleep", program);
      open(agent, [
        "bash",
        "-c",
        `set -m; trap '' HUP; '${program}' 1000 & trap - HUP; echo pid $!; wait; exit`,
      ]);
      const pid = Number(/pid (\d+)/.exec(await until(agent, "\n"))![1]);
      await expect.poll(() => readFileSync(`/proc/${pid}/comm`, "utf8")).toBe("a) Z (b\n");
      agent.send({ type: "eof", stream: 1 });
      expect((await agent.result(1)).end).toMatchObject({ type: "exit", how: "signaled", value: SIGHUP });
      await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
    });

    test("end a stopped shell, too", async () => {
      await using agent = await start();
      open(agent, ["sh", "-c", "kill -STOP $$"]);
      const { pid } = await agent.next(1, "started");
      await expect.poll(() => stateOf(pid)).toBe("T");
      agent.send({ type: "eof", stream: 1 });
      expect((await agent.result(1)).end).toMatchObject({ type: "exit", how: "signaled" });
    });

    test("wait for their reader: a flood stands still without credit, and all of it comes with it", async () => {
      await using agent = await start();
      open(agent, ["sh", "-c", "seq 200000"], { window: 5000 });
      let bytes = 0;
      while (bytes < 5000) bytes += (await agent.next(1, "data")).data.byteLength;
      expect(bytes).toBe(5000);
      expect((await show(agent, "echo others", { stream: 2 })).stdout).toBe("others\r\n");
      expect(agent.frames.filter((frame) => frame.type === "data")).toEqual([]);
      agent.send({ type: "credit", stream: 1, bytes: 1 << 20 });
      const { stdout } = await agent.result(1);
      expect(stdout.endsWith("199999\r\n200000\r\n")).toBe(true);
      // Each line is its digits, a return and a line feed.
      expect(stdout.length + 5000).toBe(1_088_895 + 2 * 200_000);
    });

    test("take much that nobody reads, at its own pace, and still hang up", async () => {
      await using agent = await start();
      open(agent, ["sh", "-c", "stty raw -echo; echo ready; exec sleep 1000"]);
      const { bytes } = await agent.next(1, "credit");
      await until(agent, "ready");
      agent.send({
        type: "data",
        stream: 1,
        channel: "stdin",
        data: new Uint8Array(Math.min(bytes, 32_000)),
      });
      agent.send({ type: "eof", stream: 1 });
      expect((await agent.result(1)).end).toMatchObject({ type: "exit", how: "signaled", value: SIGHUP });
    });

    test("are many at once, each with its own", async () => {
      await using agent = await start();
      const streams = Array.from({ length: 20 }, (_, at) => at + 1);
      for (const stream of streams) open(agent, ["cat"], { stream });
      for (const stream of streams) type(agent, `line ${stream}\n\x04`, stream);
      for (const stream of streams) {
        expect((await agent.result(stream)).stdout).toBe(`line ${stream}\r\n`.repeat(2));
      }
    });

    test("that cannot start say why", async () => {
      await using agent = await start();
      open(agent, ["/no/such/program"]);
      const { end } = await agent.result(1);
      expect(end).toMatchObject({ type: "fail", errno: 2, detail: "/no/such/program" });
    });
  },
);

function temporary(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), "boxrun-terminal-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/** "T" is stopped. */
const stateOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0];
