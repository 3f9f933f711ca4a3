import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { AgentProcess, BOXES, processStat, whySkipped } from "./agent-process.js";

const [SIGKILL, SIGTERM] = [9, 15];

/** Who runs in a session, its leader included. */
const inSession = (session: number) =>
  readdirSync("/proc").filter((name) => {
    const stat = processStat(Number(name));
    return stat?.session === session && stat.state !== "Z";
  });

/** All of a session whom others still see: those who run, and those whom the agent has not reaped. */
const leftOf = (session: number, agent: number) =>
  readdirSync("/proc").filter((name) => {
    const stat = processStat(Number(name));
    return stat?.session === session && (stat.state !== "Z" || stat.parent === agent);
  });

/** Text of Bash whose jobs are process groups of their own: they leave the command's group, and stay in its session. It complains where a job was faster than itself. */
const jobs = (text: string) => ["bash", "-c", `exec 2> /dev/null; set -m; ${text}`];
const STUBBORN = "(trap '' TERM; echo up; while :; do sleep 0.01; done)";

const exited = (stream: number, value: number) => ({ type: "exit", stream, how: "exited", value });
const signaled = (stream: number, value: number) => ({ type: "exit", stream, how: "signaled", value });

describe.skipIf(whySkipped).each(BOXES)(
  `what has left a command's process group${whySkipped ? ` (skipped: ${whySkipped})` : ""}, %s`,
  (_box, volumes) => {
    const start = (options = {}) => AgentProcess.start({ volumes, ...options });
    test("ends by terminate, asked first; a session of its own goes on", async () => {
      await using agent = await start();
      const daemon = "setsid sh -c 'echo $$; exec sleep 1000' & sleep 1000 & timeout 1000 sleep 1000 & wait";
      agent.exec(1, jobs(daemon));
      const { pid: session } = await agent.next(1, "started");
      const alone = Number(Buffer.from((await agent.next(1, "data")).data));
      // The shell, its two jobs, and what timeout runs; until setsid has forked, it is one of the session, too.
      while (inSession(session).length !== 4) await agent.settled();
      agent.send({ type: "terminate", stream: 1, graceMs: 60_000 });
      expect((await agent.result(1)).end).toEqual(signaled(1, SIGTERM));
      while (inSession(session).length > 0) await agent.settled();
      expect(inSession(alone)).toEqual([`${alone}`]);
      agent.exec(2, ["kill", `${alone}`]);
      expect((await agent.result(2)).end).toEqual(exited(2, 0));
    });

    test("gets TERM once, and its grace while the main process lives", async () => {
      await using agent = await start();
      const job = "(trap 'sleep 0.1; echo bye; exit' TERM; echo up; while :; do sleep 0.01; done)";
      agent.exec(1, jobs(`trap 'echo asked' TERM; ${job} & wait; wait; exit 3`));
      await agent.next(1, "data");
      agent.send({ type: "terminate", stream: 1, graceMs: 60_000 });
      expect(await agent.result(1)).toMatchObject({ stdout: "asked\nbye\n", end: exited(1, 3) });
    });

    test("is woken where it is stopped", async () => {
      await using agent = await start();
      const job = `sh -c 'trap "echo woken; kill -KILL $PPID; exit" TERM; echo up; kill -STOP $$'`;
      agent.exec(1, jobs(`trap : TERM; ${job} & while :; do sleep 0.01; done`));
      const { pid: session } = await agent.next(1, "started");
      await agent.next(1, "data");
      while (!inSession(session).some((name) => processStat(Number(name))?.state === "T"))
        await agent.settled();
      agent.send({ type: "terminate", stream: 1, graceMs: 60_000 });
      expect(await agent.result(1)).toMatchObject({ stdout: "woken\n", end: signaled(1, SIGKILL) });
    });

    test.each([
      ["after the grace, with a command that ignores TERM", "trap '' TERM; ", 50, SIGKILL],
      ["when the main process has obeyed TERM and it has not", "", 60_000, SIGTERM],
    ])("is killed %s", async (_when, ignoring, graceMs, endedBy) => {
      await using agent = await start();
      agent.exec(1, jobs(`${ignoring}${STUBBORN} & wait`));
      const { pid: session } = await agent.next(1, "started");
      await agent.next(1, "data");
      agent.send({ type: "terminate", stream: 1, graceMs });
      expect((await agent.result(1)).end).toEqual(signaled(1, endedBy));
      while (inSession(session).length > 0) await agent.settled();
    });

    test("is killed however fast it forks", async () => {
      await using agent = await start();
      // Each starts the next one, in a group of its own, and ends.
      const chain = "set -m; f() { f & }; echo up; f; while :; do :; done";
      agent.exec(1, ["bash", "-c", chain]);
      const { pid: session } = await agent.next(1, "started");
      await agent.next(1, "data");
      agent.send({ type: "terminate", stream: 1, graceMs: 0 });
      await agent.result(1);
      while (inSession(session).length > 0) await agent.settled();
    });

    test("is killed by SIGKILL, and by no other signal", async () => {
      await using agent = await start();
      for (const signal of [SIGTERM, SIGKILL]) {
        agent.exec(1, jobs("sleep 1000 & echo up; wait"));
        const { pid: session } = await agent.next(1, "started");
        await agent.next(1, "data");
        agent.send({ type: "signal", stream: 1, signal });
        expect((await agent.result(1)).end).toEqual(signaled(1, signal));
        if (signal === SIGKILL) while (inSession(session).length > 0) await agent.settled();
        else expect(inSession(session)).toHaveLength(1);
        agent.exec(2, ["kill", ...inSession(session)]);
        await agent.result(2);
      }
    });

    // Memory takes the kernel milliseconds to take back, after the kill and before the end.
    const heavy = "(x=$(head -c 60000000 /dev/zero | tr '\\0' x); echo up; while :; do sleep 1; done)";
    const ends: [string, (agent: AgentProcess, stream: number) => void][] = [
      ["by terminate", (agent, stream) => agent.send({ type: "terminate", stream, graceMs: 0 })],
      ["by SIGKILL", (agent, stream) => agent.send({ type: "signal", stream, signal: SIGKILL })],
    ];
    test.each(ends)("has ended, too, when a command has been ended %s", async (_how, end) => {
      await using agent = await start();
      for (let stream = 1; stream <= 2; stream++) {
        agent.exec(stream, jobs(`for i in 1 2 3 4; do ${heavy} & done; wait`));
        const { pid: session } = await agent.next(stream, "started");
        let printed = "";
        while (printed !== "up\nup\nup\nup\n")
          printed += Buffer.from((await agent.next(stream, "data")).data);
        end(agent, stream);
        await agent.next(stream, "exit");
        expect(leftOf(session, agent.pid)).toEqual([]);
      }
    });

    test("lives on after a normal end", async () => {
      await using agent = await start();
      agent.exec(1, jobs("sleep 1000 & exit 4"));
      const { pid: session } = await agent.next(1, "started");
      expect((await agent.result(1)).end).toEqual(exited(1, 4));
      expect(inSession(session)).toHaveLength(1);
      agent.exec(2, ["kill", ...inSession(session)]);
      expect((await agent.result(2)).end).toEqual(exited(2, 0));
    });
  },
);
