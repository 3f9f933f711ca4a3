import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { MAX_STREAMS } from "../../src/local/protocol/frame-types.js";
import { AgentProcess, BOXES, processStat, whySkipped } from "./agent-process.js";

const [ENOENT, E2BIG, ENOEXEC, EACCES, EAGAIN] = [2, 7, 8, 13, 11];
const [SIGKILL, SIGTERM] = [9, 15];
const STAGE = { limit: 3, cwd: 4, exec: 5 };

const exited = (stream: number, value: number) => ({ type: "exit", stream, how: "exited", value });
const signaled = (stream: number, value: number) => ({ type: "exit", stream, how: "signaled", value });

describe.skipIf(whySkipped).each(BOXES)(
  `commands of the agent${whySkipped ? ` (skipped: ${whySkipped})` : ""}, %s`,
  (_box, volumes) => {
    const start = (options = {}) => AgentProcess.start({ volumes, ...options });
    describe("start and end", () => {
      test("exit codes are reported as they are", async () => {
        await using agent = await start();
        for (const code of [0, 1, 126, 127, 255]) {
          agent.shell(1, `exit ${code}`);
          expect((await agent.result(1)).end).toEqual(exited(1, code));
        }
      });

      test("stdout and stderr are apart, and nothing is lost of either", async () => {
        await using agent = await start();
        agent.shell(1, "echo out; echo err >&2; printf last");
        expect(await agent.result(1)).toMatchObject({
          stdout: "out\nlast",
          stderr: "err\n",
          end: exited(1, 0),
        });
      });

      test("stderr may be the pipe of stdout: everything comes as stdout, in its order", async () => {
        await using agent = await start();
        const loop = "i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done; exit 3";
        agent.shell(1, loop, { joined: true });
        const { stdout, stderr, end } = await agent.result(1);
        expect(stdout).toBe(Array.from({ length: 500 }, (_, i) => `o${i}\ne${i}\n`).join(""));
        expect([stderr, end]).toEqual(["", exited(1, 3)]);
      });

      test("a command line of 2 MiB is taken, of few words or of many, and what comes after it", async () => {
        await using agent = await start();
        for (const words of [Array(20).fill("x".repeat(104_000)), Array(100_000).fill("word")]) {
          agent.exec(1, ["sh", "-c", "echo $#", "sh", ...(words as string[])]);
          agent.exec(2, ["echo", "next"]);
          expect(await agent.result(1)).toMatchObject({ stdout: `${words.length}\n`, end: exited(1, 0) });
          expect((await agent.result(2)).stdout).toBe("next\n");
        }
      });

      test("the memory of a long command line is given back", async () => {
        await using agent = await start();
        const memoryKb = () =>
          Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${agent.pid}/status`, "utf8"))![1]);
        const before = memoryKb();
        agent.exec(1, ["true", ...Array<string>(400_000).fill("")]);
        await agent.result(1);
        expect(memoryKb() - before).toBeLessThan(1000);
      });

      test("a command gets its arguments, environment and working directory, and nothing else", async () => {
        await using agent = await start();
        const path = `PATH=${process.env["PATH"]}`;
        agent.exec(1, ["env"], { env: [path, "A=1", "B=", "C=ü ="] });
        expect((await agent.result(1)).stdout).toBe(`${path}\nA=1\nB=\nC=ü =\n`);
        agent.exec(1, ["printf", "<%s>", "a b", "", "$HOME", "*"]);
        expect((await agent.result(1)).stdout).toBe("<a b><><$HOME><*>");
        agent.exec(1, ["pwd"], { cwd: "/usr/bin/..", env: [path] });
        expect((await agent.result(1)).stdout).toBe("/usr\n");
      });

      test("a command leads a session of its own, with no open files and no signal blocked or ignored", async () => {
        await using agent = await start();
        agent.exec(1, ["cat", "/proc/self/stat"]);
        const { stdout: stat, frames } = await agent.result(1);
        const { pid } = frames[0] as { pid: number };
        expect(stat).toMatch(new RegExp(`^${pid} \\(cat\\) . ${agent.pid} ${pid} ${pid} 0 `));
        agent.exec(1, ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]);
        expect((await agent.result(1)).stdout).toBe("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
        agent.exec(1, ["ls", "/proc/self/fd"]);
        // 3 is the folder that ls reads.
        expect((await agent.result(1)).stdout).toBe("0\n1\n2\n3\n");
      });

      test("a command has limits on open files that fit any program", async () => {
        await using agent = await start();
        agent.shell(1, "ulimit -Sn; ulimit -Hn");
        expect((await agent.result(1)).stdout).toBe("1024\n4096\n");
      });

      test("a program is looked up in the PATH it is given, and in a usual one without", async () => {
        await using agent = await start();
        agent.exec(1, ["true"], { env: [] });
        expect((await agent.result(1)).end).toEqual(exited(1, 0));
        agent.exec(1, ["true"], { env: ["PATH=/nonexistent:/etc/passwd"] });
        expect((await agent.result(1)).end).toMatchObject({ type: "fail", stage: STAGE.exec, errno: ENOENT });
        // An empty entry is the working directory.
        agent.exec(1, ["env"], { env: ["PATH=/nonexistent:"], cwd: "/usr/bin" });
        expect((await agent.result(1)).end).toEqual(exited(1, 0));
      });

      test.each([
        ["a program that is not there", ["boxrun-no-such-program"], ENOENT],
        ["a path that is not there", ["/no/such/program"], ENOENT],
        ["an empty name", [""], ENOENT],
        ["a file that is not executable", ["/etc/passwd"], EACCES],
        ["a folder", ["/usr"], EACCES],
        ["an argument too long for the kernel", ["true", "x".repeat(200_000)], E2BIG],
      ])("cannot be executed: %s", async (_name, argv, errno) => {
        await using agent = await start();
        agent.exec(1, argv);
        const { end } = await agent.result(1);
        expect(end).toEqual({ type: "fail", stream: 1, stage: STAGE.exec, errno, detail: argv[0] });
      });

      test("text without an interpreter is not run by a shell behind one's back", async () => {
        await using agent = await start();
        agent.shell(1, 'f=$(mktemp) && echo "exit 3" > $f && chmod +x $f && printf %s $f');
        const { stdout: script } = await agent.result(1);
        agent.exec(1, [script]);
        expect((await agent.result(1)).end).toMatchObject({ stage: STAGE.exec, errno: ENOEXEC });
        agent.exec(1, ["rm", script]);
        await agent.result(1);
      });

      test("a working directory that cannot be entered is told apart", async () => {
        await using agent = await start();
        agent.exec(1, ["true"], { cwd: "/no/such/folder" });
        const { end } = await agent.result(1);
        expect(end).toEqual({
          type: "fail",
          stream: 1,
          stage: STAGE.cwd,
          errno: ENOENT,
          detail: "/no/such/folder",
        });
      });

      test("an id is free again once its stream has ended", async () => {
        await using agent = await start();
        for (let i = 0; i < 300; i++) {
          agent.exec(1, ["echo", `${i}`]);
          expect((await agent.result(1)).stdout).toBe(`${i}\n`);
        }
      });
    });

    describe("signals", () => {
      test("a signal reaches the whole process group", async () => {
        await using agent = await start();
        agent.shell(1, "sleep 1000 & echo $!; wait");
        await agent.next(1, "started");
        const child = Number(Buffer.from((await agent.next(1, "data")).data));
        agent.send({ type: "signal", stream: 1, signal: SIGTERM });
        expect((await agent.result(1)).end).toEqual(signaled(1, SIGTERM));
        // The orphan is the agent's child now, and is reaped: a later command sees it gone.
        agent.shell(2, `while kill -0 ${child} 2>/dev/null; do :; done; echo gone`);
        expect((await agent.result(2)).stdout).toBe("gone\n");
      });

      test("a signal can be handled", async () => {
        await using agent = await start();
        agent.shell(1, "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.01; done");
        await agent.next(1, "data");
        agent.send({ type: "signal", stream: 1, signal: SIGTERM });
        expect(await agent.result(1)).toMatchObject({ stdout: "caught\n", end: exited(1, 5) });
      });

      test("terminate asks first", async () => {
        await using agent = await start();
        agent.shell(1, "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done");
        await agent.next(1, "data");
        agent.send({ type: "terminate", stream: 1, graceMs: 60_000 });
        expect(await agent.result(1)).toMatchObject({ stdout: "bye\n", end: exited(1, 5) });
      });

      test("terminate kills after the grace", async () => {
        await using agent = await start();
        agent.shell(1, "trap '' TERM; echo ready; while :; do sleep 0.01; done");
        await agent.next(1, "data");
        agent.send({ type: "terminate", stream: 1, graceMs: 50 });
        expect((await agent.result(1)).end).toEqual(signaled(1, SIGKILL));
      });

      test("terminate wakes a stopped command", async () => {
        await using agent = await start();
        agent.shell(1, "trap 'exit 6' TERM; echo ready; kill -STOP $$");
        await agent.next(1, "data");
        agent.send({ type: "terminate", stream: 1, graceMs: 60_000 });
        expect((await agent.result(1)).end).toEqual(exited(1, 6));
      });

      test("terminate leaves nothing of the group when the main process ends", async () => {
        await using agent = await start();
        agent.shell(
          1,
          "(trap '' TERM; echo $(exec sh -c 'echo $PPID'); while :; do sleep 0.01; done) & sleep 1000",
        );
        await agent.next(1, "started");
        const child = Number(Buffer.from((await agent.next(1, "data")).data));
        expect(processStat(child)).toBeDefined();
        agent.send({ type: "terminate", stream: 1, graceMs: 60_000 });
        expect((await agent.result(1)).end).toEqual(signaled(1, SIGTERM));
        agent.shell(2, `while kill -0 ${child} 2>/dev/null; do :; done; echo gone`);
        expect((await agent.result(2)).stdout).toBe("gone\n");
      });
    });

    describe("background processes", () => {
      test("do not hold up the end", async () => {
        await using agent = await start();
        agent.shell(1, "sleep 1000 & echo $!");
        const { stdout, end } = await agent.result(1);
        expect(end).toEqual(exited(1, 0));
        agent.shell(2, `kill ${stdout}`);
        expect((await agent.result(2)).end).toEqual(exited(2, 0));
      });

      test("print into the void after the end, and live", async () => {
        await using agent = await start();
        const background =
          "read go < $f; seq 100000; i=0; while [ $i -lt 9999 ]; do echo $i; i=$((i+1)); done; echo ok > $f.done";
        agent.shell(1, `f=$(mktemp -u); mkfifo $f $f.done; (${background}) & echo $f`);
        const { stdout, end } = await agent.result(1);
        expect(end).toEqual(exited(1, 0));
        const fifo = stdout.trim();
        agent.shell(2, `echo go > ${fifo}; cat ${fifo}.done; rm ${fifo} ${fifo}.done`);
        expect((await agent.result(2)).stdout).toBe("ok\n");
        await agent.settled();
        expect(agent.frames.filter((frame) => frame.stream === 1)).toEqual([]);
      });

      test("are reaped when they end as orphans", async () => {
        await using agent = await start();
        agent.shell(1, "for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.0$i &) ; done");
        await agent.result(1);
        const children = () =>
          readdirSync("/proc")
            .map((name) => processStat(Number(name)))
            .filter((stat) => stat?.parent === agent.pid);
        while (children().length > 0) await agent.settled();
      });
    });

    describe("limits", () => {
      test("a hundred commands run at once", async () => {
        await using agent = await start();
        const streams = Array.from({ length: 100 }, (_, i) => i + 1);
        for (const stream of streams) agent.shell(stream, `cat; echo ${stream}`, { stdin: true });
        for (const stream of streams) await agent.next(stream, "started");
        for (const stream of streams) agent.send({ type: "eof", stream });
        for (const stream of streams) expect((await agent.result(stream)).stdout).toBe(`${stream}\n`);
      });

      test("one stream too many is refused, and one less is served again", async () => {
        await using agent = await start();
        for (let stream = 1; stream <= MAX_STREAMS; stream++)
          agent.exec(stream, ["sleep", "1000"], { stdin: true });
        await agent.next(MAX_STREAMS, "started");
        agent.exec(9999, ["true"]);
        expect((await agent.result(9999)).end).toMatchObject({
          type: "fail",
          stage: STAGE.limit,
          errno: EAGAIN,
        });
        agent.send({ type: "signal", stream: 7, signal: SIGKILL });
        expect((await agent.result(7)).end).toEqual(signaled(7, SIGKILL));
        agent.exec(9999, ["true"]);
        expect((await agent.result(9999)).end).toEqual(exited(9999, 0));
      });

      test("descriptors do not leak", async () => {
        await using agent = await start();
        const open = () => readdirSync(`/proc/${agent.pid}/fd`).length;
        const before = open();
        for (let i = 0; i < 50; i++) {
          agent.shell(1, "cat; yes | head -c 200000; (true &)", { stdin: true });
          agent.send({ type: "eof", stream: 1 });
          await agent.result(1);
          agent.exec(2, ["boxrun-no-such-program"], { stdin: true });
          await agent.result(2);
        }
        while (open() > before) await agent.settled();
        expect(open()).toBe(before);
      });
    });

    describe("shutdown", () => {
      test("ends what runs, then answers", async () => {
        await using agent = await start();
        agent.shell(1, "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.01; done");
        agent.shell(2, "trap '' TERM; echo ready; while :; do sleep 0.01; done");
        await agent.next(1, "data");
        await agent.next(2, "data");
        agent.send({ type: "shutdown", stream: 0, graceMs: 200 });
        expect(await agent.next(0)).toEqual({ type: "done", stream: 0, bytes: 0 });
        expect(await agent.result(1)).toMatchObject({ stdout: "bye\n", end: exited(1, 4) });
        expect((await agent.result(2)).end).toEqual(signaled(2, SIGKILL));
        agent.exec(3, ["true"]);
        expect((await agent.result(3)).end).toMatchObject({ type: "fail", stage: STAGE.limit });
      });
    });
  },
);
