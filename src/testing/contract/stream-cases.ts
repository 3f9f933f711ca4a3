import type { ExecEvent, Execution, Signal } from "../../index.js";
import type { Context } from "./target.js";
import { failure, first, sha256 } from "./tools.js";

export function streamCases(context: Context): void {
  const { it, expect } = context;
  it("streams events as they come, numbered, and the exit last", async () => {
    const execution = await context.box.execStream("echo one; sleep 0.2; echo two >&2; sleep 0.2; exit 4");
    expect(execution.id).toMatch(/^exec_[0-9a-z]{12}$/);
    expect((await execution.info()).status).toBe("running");
    const events = await all(execution);
    expect(
      events.map((event) => (event.type === "log" ? `${event.stream} ${event.data}` : event.exitCode)),
    ).toEqual(["stdout one\n", "stderr two\n", 4]);
    const seqs = events.map(({ seq }) => seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(new Set(seqs).size).toBe(seqs.length);
  });

  it("gives a character whole that is split over two chunks, and its bytes as they came", async () => {
    const execution = await context.box.execStream("printf 'a\\342\\202'; sleep 0.3; printf '\\254b'");
    const logs = (await all(execution)).filter((event) => event.type === "log");
    expect(logs.map(({ data }) => data)).toEqual(["a", "€b"]);
    expect(logs.map(({ bytes }) => [...bytes])).toEqual([
      [97, 0xe2, 0x82],
      [0xac, 98],
    ]);
  });

  it("shows bytes that are no text as replacement characters, at the end too", async () => {
    const text = async (cmd: string) => {
      const logs = (await all(await context.box.execStream(cmd))).filter((event) => event.type === "log");
      return logs.map(({ data }) => data).join("");
    };
    expect(await text("printf 'a\\377b'")).toBe("a\ufffdb");
    expect(await text("printf 'a\\342\\202'")).toBe("a\ufffd");
  });

  it("writes to stdin and closes it", async () => {
    const execution = await context.box.execStream('while read line; do echo "got $line"; done; echo end', {
      stdin: true,
    });
    const writer = execution.stdin.getWriter();
    await writer.write("1\n");
    const seen: string[] = [];
    for await (const event of execution) {
      if (event.type === "exit") break;
      seen.push(event.data);
      if (event.data === "got 1\n") await writer.write("2\n");
      if (event.data === "got 2\n") await writer.close();
    }
    expect(seen.join("")).toBe("got 1\ngot 2\nend\n");
  });

  it("has no stdin unless it is asked for", async () => {
    const execution = await context.box.execStream(["cat"]);
    expect(execution.stdin).toBeUndefined();
    expect((await execution.wait()).exitCode).toBe(0);
  });

  it("refuses stdin for a command that has ended, so that a pipe into it stops", async () => {
    const execution = await context.box.execStream(["true"], { stdin: true });
    await execution.wait();
    let pulls = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pulls++;
        controller.enqueue(new Uint8Array(1000));
      },
    });
    expect(await failure(endless.pipeTo(execution.stdin))).toMatchObject({ code: "EXEC_ALREADY_FINISHED" });
    expect(pulls).toBeLessThan(100);
  });

  it("cancels: the group is gone, the status says so, the code is null", async () => {
    const execution = await context.box.execStream("sleep 7011 & sleep 7012");
    const info = await execution.cancel();
    expect(info).toMatchObject({ status: "canceled", exitCode: null });
    expect((await context.box.exec("pgrep -f 'sleep 701[12]'")).exitCode).toBe(1);
    expect((await all(execution)).at(-1)).toMatchObject({ type: "exit", exitCode: null });
    expect(await failure(execution.cancel())).toMatchObject({ code: "EXEC_ALREADY_FINISHED" });
    expect(await failure(execution.kill())).toMatchObject({ code: "EXEC_ALREADY_FINISHED" });
  });

  it("kills what ignores TERM, and what such a command left in its group", async () => {
    const execution = await context.box.execStream(
      "trap '' TERM; (sleep 7021; sleep 7021) & echo up; sleep 7022; sleep 7022",
    );
    await firstLog(execution);
    expect(await execution.cancel()).toMatchObject({ status: "canceled" });
    expect((await context.box.exec("pgrep -f 'sleep 702[12]'")).exitCode).toBe(1);
  });

  it("kills what is left of the group when only its main process obeys TERM", async () => {
    const execution = await context.box.execStream(
      "(trap '' TERM; echo up; sleep 7023; sleep 7023) & sleep 7024",
    );
    await firstLog(execution);
    await execution.cancel();
    expect((await context.box.exec("pgrep -f 'sleep 702[34]'")).exitCode).toBe(1);
  });

  it("ends by cancel and by its time limit what has left the group, and nothing with a session of its own", async () => {
    const pids = async (pattern: string) => (await context.box.exec(["pgrep", "-f", pattern])).stdout;
    const began = performance.now();
    const execution = await context.box.execStream(jobs(7025));
    await firstLog(execution);
    // A limit within which the jobs come up on this machine, too.
    const timeoutMs = Math.max(1000, Math.ceil((performance.now() - began) * 5));
    expect(await execution.cancel()).toMatchObject({ status: "canceled" });
    expect(await pids("sleep 7025")).toBe("");
    const error = await failure(context.box.exec(jobs(7026), { timeoutMs }));
    expect(error).toMatchObject({ code: "TIMEOUT", result: { stdout: "up\n" } });
    expect(await pids("sleep 7026")).toBe("");
    expect(await pids("^sleep 7027")).toMatch(/^\d+\n\d+\n$/);
    await context.box.exec("pkill -KILL -f '^sleep 7027'");
  });

  it("sends signals by name", async () => {
    const execution = await context.box.execStream(
      "trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.05; done",
    );
    await firstLog(execution);
    await execution.kill("SIGINT");
    expect(await execution.wait()).toMatchObject({ status: "failed", exitCode: 9 });
    const error = await failure((await context.box.execStream(["sleep", "7031"])).kill("SIGWHAT" as Signal));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    await context.box.exec("pkill -f 'sleep 7031'");
  });

  it("cancels a command whose reader leaves early, unless it is detached", async () => {
    const left = await context.box.execStream("echo one; sleep 7041");
    await firstLog(left, { leave: true });
    expect((await left.info()).status).toBe("canceled");

    const detached = await context.box.execStream("echo one; sleep 0.3; echo two", { detached: true });
    await firstLog(detached, { leave: true });
    expect((await detached.info()).status).toBe("running");
    expect((await detached.wait()).status).toBe("succeeded");
  });

  it("lets a reader leave a silent command at once, and cancels it", async () => {
    const silent = await context.box.execStream(["sleep", "7042"]);
    const events = silent[Symbol.asyncIterator]();
    const pending = events.next();
    await events.return();
    expect(await pending).toEqual({ done: true, value: undefined });
    expect((await silent.info()).status).toBe("canceled");
  });

  it("is found again by its id, from another handle, with all its output", async () => {
    const started = await context.box.execStream("echo before; sleep 0.2; echo after", { detached: true });
    const handle = await context.client.getBox(context.box.id);
    const found = await handle.execution(started.id);
    expect(text(await all(found))).toBe("before\nafter\n");
    expect(text(await all(found))).toBe("before\nafter\n");
    expect((await handle.executions()).map(({ id }) => id)).toContain(started.id);
    expect(await failure(handle.execution("exec_nothing00000"))).toMatchObject({ code: "EXEC_NOT_FOUND" });
  });

  it("waits without reading, and gives up waiting when asked to", async () => {
    const execution = await context.box.execStream("head -c 3000000 /dev/zero; sleep 0.2; exit 5");
    const controller = new AbortController();
    const reason = new Error("no more patience");
    controller.abort(reason);
    expect(await failure(execution.wait({ signal: controller.signal }))).toBe(reason);
    expect(await execution.wait()).toMatchObject({ exitCode: 5, status: "failed" });
  });

  it("never waits for a reader that is not there, and says that output was dropped", async () => {
    const bytes = 24 * 2 ** 20;
    const execution = await context.box.execStream(`${first(bytes)} < /dev/zero`, { detached: true });
    expect(await execution.wait()).toMatchObject({ exitCode: 0, truncated: true });
    let kept = 0;
    for await (const event of execution) if (event.type === "log") kept += event.bytes.byteLength;
    expect(kept).toBeGreaterThan(15 * 2 ** 20);
    expect(kept).toBeLessThanOrEqual(16 * 2 ** 20);
  });

  it("gives a slow reader everything, and holds up no other command meanwhile", async () => {
    const bytes = 24 * 2 ** 20;
    const execution = await context.box.execStream(`yes boxrun | ${first(bytes)}`);
    const chunks: Uint8Array[] = [];
    let others = 0;
    for await (const event of execution) {
      if (event.type !== "log") break;
      chunks.push(event.bytes);
      if (chunks.length % 100 === 0 && others < 5) {
        others++;
        expect((await context.box.exec(["echo", "quick"])).stdout).toBe("quick\n");
      }
    }
    const whole = new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
    expect(others).toBe(5);
    expect(whole.byteLength).toBe(bytes);
    expect(await sha256(whole)).toBe(
      await sha256(new TextEncoder().encode("boxrun\n".repeat(Math.ceil(bytes / 7))).subarray(0, bytes)),
    );
  });

  it("gives its events and its output as web streams", async () => {
    const execution = await context.box.execStream("echo out; sleep 0.2; echo err >&2; sleep 0.2; echo more");
    const types: string[] = [];
    const events = execution.events().getReader();
    for (let next = await events.read(); !next.done; next = await events.read()) types.push(next.value.type);
    expect(types).toEqual(["log", "log", "log", "exit"]);
    expect(await new Response(execution.output()).text()).toBe("out\nerr\nmore\n");
    expect(await new Response(execution.output("stdout")).text()).toBe("out\nmore\n");
    expect(await new Response(execution.output("stderr")).text()).toBe("err\n");
  });

  it("cancels the command when its stream is canceled, and at the end of its scope", async () => {
    const piped = await context.box.execStream("echo up; sleep 7052");
    const reader = piped.output().getReader();
    await reader.read();
    await reader.cancel();
    expect((await piped.wait()).status).toBe("canceled");
    let left: Execution;
    {
      await using scoped = await context.box.execStream(["sleep", "7053"]);
      left = scoped;
    }
    expect((await left.info()).status).toBe("canceled");
  });

  it("rejects the reader's loop with the signal's reason and ends the command", async () => {
    const controller = new AbortController();
    const reason = new Error("stop");
    const execution = await context.box.execStream("echo up; sleep 7051", { signal: controller.signal });
    const reading = (async () => {
      for await (const event of execution) if (event.type === "log") controller.abort(reason);
    })();
    expect(await failure(reading)).toBe(reason);
    expect((await execution.wait()).status).toBe("canceled");
  });
}

async function all(execution: Execution): Promise<ExecEvent[]> {
  const events: ExecEvent[] = [];
  for await (const event of execution) events.push(event);
  return events;
}

function text(events: ExecEvent[]): string {
  return events.map((event) => (event.type === "log" ? event.data : "")).join("");
}

/**
 * Text of a shell whose jobs have process groups of their own: one that sleeps so many seconds, one that does so and ignores TERM, and in that a daemon.
 * BusyBox wants a terminal for it, and whoever leads a session gets the one that it opens.
 */
function jobs(seconds: number): string {
  const daemon = "setsid sh -c 'echo up; exec sleep 7027'";
  const terminal = "if (: <> /dev/ttyS0) 2> /dev/null; then exec 3<> /dev/ttyS0; fi";
  return `exec 2> /dev/null; ${terminal}; set -m; sleep ${seconds} & (trap '' TERM; ${daemon} & sleep ${seconds}; sleep ${seconds}) & wait`;
}

/** Waits for the first output. With `leave`, as a reader that stops; otherwise the command goes on. */
async function firstLog(execution: Execution, { leave = false } = {}): Promise<void> {
  const events = execution[Symbol.asyncIterator]();
  await events.next();
  if (leave) await events.return();
}
