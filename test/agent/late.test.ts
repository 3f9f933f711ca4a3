import { describe, expect, test } from "vitest";
import { AgentProcess, BOXES, whySkipped } from "./agent-process.js";

const [SIGKILL, SIGTERM] = [9, 15];
const exited = (stream: number, value: number) => ({ type: "exit", stream, how: "exited", value });

/** Shell text that goes on when the main process has been reaped. */
const AFTER_END = "while kill -0 $$ 2>/dev/null; do :; done";
/** Prints for ever, once the main process has ended. */
const FOREVER = `(trap 'exit' TERM; ${AFTER_END}; while :; do echo tick; sleep 0.02; done)`;

/** Takes output of a stream until `text` is in it. */
async function printed(agent: AgentProcess, stream: number, text: string): Promise<string> {
  let all = "";
  while (!all.includes(text)) all += Buffer.from((await agent.next(stream, "data")).data);
  return all;
}

/** Resolves when no process has this number any more. */
async function gone(agent: AgentProcess, pid: string): Promise<void> {
  agent.shell(99, `while kill -0 ${pid} 2>/dev/null; do :; done`);
  expect((await agent.result(99)).end).toEqual(exited(99, 0));
}

describe.skipIf(whySkipped).each(BOXES)(
  `output after a command's end${whySkipped ? ` (skipped: ${whySkipped})` : ""}, %s`,
  (_box, volumes) => {
    const start = (options = {}) => AgentProcess.start({ volumes, ...options });
    test("is delivered, of both outputs, before the exit code", async () => {
      await using agent = await start();
      agent.shell(1, `(${AFTER_END}; echo late; echo err >&2; seq 40000) & echo now; exit 3`);
      const { stdout, stderr, end } = await agent.result(1);
      expect(stdout.slice(0, 9)).toBe("now\nlate\n");
      expect(stdout.endsWith("\n40000\n")).toBe(true);
      expect([stderr, end]).toEqual(["err\n", exited(1, 3)]);
    });

    test("is delivered to many commands at once", async () => {
      await using agent = await start();
      const streams = Array.from({ length: 40 }, (_, i) => i + 1);
      for (const stream of streams) agent.shell(stream, `(${AFTER_END}; echo late ${stream}) & echo now`);
      for (const stream of streams)
        expect(await agent.result(stream)).toMatchObject({
          stdout: `now\nlate ${stream}\n`,
          end: exited(stream, 0),
        });
    });

    test.each([
      ["a child that is silent", "sleep 1000 &"],
      ["a daemon that is silent", "setsid sleep 1000 &"],
      ["a daemon that prints for ever", "setsid sh -c 'while :; do echo tick; sleep 0.02; done' &"],
    ])("is not waited for without end: %s", async (_name, background) => {
      await using agent = await start();
      agent.shell(1, `${background} echo $! >&2; exit 3`);
      const { stderr, end } = await agent.result(1);
      expect(end).toEqual(exited(1, 3));
      agent.shell(2, `kill -KILL ${stderr}`);
      expect((await agent.result(2)).end).toEqual(exited(2, 0));
    });

    test("is not waited for where a silent command has no credit", async () => {
      await using agent = await start();
      agent.exec(1, ["true"], { window: 0 });
      expect((await agent.result(1)).end).toEqual(exited(1, 0));
      agent.shell(1, "sleep 1000 & exit 4", { window: 0 });
      const { frames, end } = await agent.result(1);
      expect(end).toEqual(exited(1, 4));
      agent.shell(2, `kill -KILL -${(frames[0] as { pid: number }).pid}`);
      await agent.result(2);
    });

    test("waits for its reader, whose time is not the command's", async () => {
      await using agent = await start();
      // More than a pipe holds, so that its writer waits, too.
      agent.shell(1, `(${AFTER_END}; head -c 300000 /dev/zero; echo last) & exit 5`, { window: 1000 });
      await printed(agent, 1, "\0".repeat(1000));
      agent.exec(2, ["sleep", "5.5"]);
      await agent.result(2);
      expect(agent.frames.filter(({ type }) => type === "data" || type === "exit")).toEqual([]);
      agent.send({ type: "credit", stream: 1, bytes: 1_000_000 });
      const { stdout, end } = await agent.result(1);
      expect([stdout.length, stdout.slice(-5), end]).toEqual([300_005 - 1000, "last\n", exited(1, 5)]);
    }, 30_000);

    test("ends at once, with all who print it, when the command is terminated", async () => {
      await using agent = await start();
      const ignoring = `(trap '' TERM; ${AFTER_END}; while :; do echo tick; sleep 0.02; done)`;
      agent.shell(1, `${ignoring} & echo $!; exit 6`);
      const pid = (await printed(agent, 1, "tick")).split("\n")[0]!;
      // A grace that nobody would wait for.
      agent.send({ type: "terminate", stream: 1, graceMs: 600_000 });
      expect((await agent.result(1)).end).toEqual(exited(1, 6));
      await gone(agent, pid);
    });

    test("ends at once, with all who print it, by KILL; other signals reach them", async () => {
      await using agent = await start();
      agent.shell(1, `${FOREVER} & echo $!; exit 7`);
      let pid = (await printed(agent, 1, "tick")).split("\n")[0]!;
      agent.send({ type: "signal", stream: 1, signal: SIGTERM });
      expect((await agent.result(1)).end).toEqual(exited(1, 7));
      await gone(agent, pid);
      agent.shell(1, `${FOREVER} & echo $!; exit 8`);
      pid = (await printed(agent, 1, "tick")).split("\n")[0]!;
      agent.send({ type: "signal", stream: 1, signal: SIGKILL });
      expect((await agent.result(1)).end).toEqual(exited(1, 8));
      await gone(agent, pid);
    });

    test("is not waited for when everything ends: the exit code comes first, then the answer", async () => {
      await using agent = await start();
      agent.shell(1, `${FOREVER} & exit 9`);
      await printed(agent, 1, "tick");
      agent.send({ type: "shutdown", stream: 0, graceMs: 100 });
      for (let last = ""; last !== "done"; ) {
        const [frame] = agent.frames.splice(0, 1);
        if (!frame) await agent.arrived();
        else if (frame.type === "done") expect(last).toBe("exit");
        last = frame && frame.type !== "data" ? frame.type : last;
      }
    });
  },
);
