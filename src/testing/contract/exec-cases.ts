import type { Context } from "./target.js";
import { failure, first, pattern, sha256, streamOf } from "./tools.js";

export function execCases(context: Context): void {
  const { it, expect } = context;
  it("runs argv as it is, without a shell", async () => {
    const result = await context.box.exec(["echo", "$HOME", "*", "a  b", ""]);
    expect(result).toMatchObject({ status: "succeeded", exitCode: 0, stdout: "$HOME * a  b \n", stderr: "" });
    expect(result.boxId).toBe(context.box.id);
    expect(result.finishedAt!.getTime()).toBeGreaterThanOrEqual(result.createdAt.getTime());
  });

  it("runs a string by the shell", async () => {
    expect((await context.box.exec('echo "$HOME" | tr a-z A-Z')).stdout).toBe("/ROOT\n");
  });

  it("keeps stdout and stderr apart", async () => {
    const { stdout, stderr } = await context.box.exec("echo out; echo err >&2; echo out again");
    expect({ stdout, stderr }).toEqual({ stdout: "out\nout again\n", stderr: "err\n" });
  });

  it.each([0, 1, 42, 255])("returns exit code %j", async (code) => {
    const { exitCode, status } = await context.box.exec(["sh", "-c", `exit ${code}`]);
    expect(exitCode).toBe(code);
    expect(status).toBe(code === 0 ? "succeeded" : "failed");
  });

  it("returns 128 + signal for a command that a signal ended", async () => {
    expect((await context.box.exec("kill -9 $$")).exitCode).toBe(137);
    expect((await context.box.exec("kill -TERM $$")).exitCode).toBe(143);
  });

  it("returns 127, with the reason in words, for a command that is not there", async () => {
    const { exitCode, stderr } = await context.box.exec(["no-such-command", "x"]);
    expect(exitCode).toBe(127);
    expect(stderr).toMatch(/^no-such-command: .*no such file/);
  });

  it.each(["/etc/passwd", "/etc"])("returns 126, with the reason in words, for %j", async (path) => {
    const { exitCode, stderr } = await context.box.exec([path]);
    expect(exitCode).toBe(126);
    expect(stderr).toMatch(/permission denied/);
  });

  it("returns every byte value as it was written", async () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    await context.box.upload(all, "/root/all-bytes");
    const { stdoutBytes } = await context.box.exec(["cat", "/root/all-bytes"]);
    expect(stdoutBytes).toEqual(all);
  });

  it("returns every byte of both outputs, and the exit code, to callers that ask for bytes", async () => {
    const all = Uint8Array.from({ length: 70_000 }, (_, i) => i * 7 + (i >> 8));
    await context.box.upload(all, "/root/exact-bytes");
    const chunks: string[] = [];
    const result = await context.box.exec("cat /root/exact-bytes; cat /root/exact-bytes >&2; exit 5", {
      encoding: "bytes",
      onStdout: (text) => chunks.push(text),
    });
    expect(await sha256(result.stdoutBytes)).toBe(await sha256(all));
    expect(await sha256(result.stderrBytes)).toBe(await sha256(all));
    expect(result).toMatchObject({ exitCode: 5, status: "failed", stdout: chunks.join("") });
    expect(result.cmd[2]).toContain("exact-bytes");
    const argv = await context.box.exec(["printf", "%s|", "a  b", "", "$x"], { encoding: "bytes" });
    expect(argv).toMatchObject({
      stdout: "a  b||$x|",
      exitCode: 0,
      cmd: ["printf", "%s|", "a  b", "", "$x"],
    });
    expect((await context.box.exec(["no-such-command"], { encoding: "bytes" })).exitCode).toBe(127);
  });

  it("returns 50 MB of output, by hash", async () => {
    const line = "all work and no play makes a dull box\n";
    const [page, pages] = [line.length * 32_768, 41];
    const expected = new TextEncoder().encode(line.repeat(32_768 * pages));
    const bytes = expected.byteLength;
    // A page is made once: two programs that hand lines to each other take most of the time that they run.
    const result = await context.box.exec(
      `yes '${line.trim()}' | ${first(page)} > page; for i in $(seq ${pages}); do cat page; done; rm page`,
      { maxOutputBytes: bytes },
    );
    expect(result.stdoutBytes.byteLength).toBe(bytes);
    expect(result.truncated).toBe(false);
    expect(await sha256(result.stdoutBytes)).toBe(await sha256(expected));
  });

  it("keeps the first maxOutputBytes of each output, and says that there was more", async () => {
    const result = await context.box.exec("seq 1000; seq 3 >&2", { maxOutputBytes: 10 });
    expect(result).toMatchObject({
      stdout: "1\n2\n3\n4\n5\n",
      stderr: "1\n2\n3\n",
      truncated: true,
      exitCode: 0,
    });
  });

  it("runs 20 commands at once", async () => {
    const runs = Array.from({ length: 20 }, (_, i) =>
      context.box.exec(`sleep 0.2; echo ${i}; echo e${i} >&2`),
    );
    const results = await Promise.all(runs);
    expect(results.map(({ stdout, stderr }) => [stdout, stderr])).toEqual(
      Array.from({ length: 20 }, (_, i) => [`${i}\n`, `e${i}\n`]),
    );
  });

  it("echoes 5 MB of stdin through cat, by hash", async () => {
    const input = pattern(5 * 2 ** 20);
    const { stdoutBytes } = await context.box.exec(["cat"], { stdin: streamOf(input, 100_000) });
    expect(stdoutBytes.byteLength).toBe(input.byteLength);
    expect(await sha256(stdoutBytes)).toBe(await sha256(input));
  });

  it("takes stdin as text, bytes and Blob", async () => {
    expect((await context.box.exec(["cat"], { stdin: "tëxt" })).stdout).toBe("tëxt");
    expect((await context.box.exec(["cat"], { stdin: new Uint8Array([111, 107]) })).stdout).toBe("ok");
    expect((await context.box.exec(["cat"], { stdin: new Blob(["blob"]) })).stdout).toBe("blob");
  });

  it("gives a command without stdin an empty one", async () => {
    expect(await context.box.exec(["cat"])).toMatchObject({ exitCode: 0, stdout: "" });
  });

  it("does not hang on stdin that the command does not read", async () => {
    const input = pattern(2 * 2 ** 20);
    expect((await context.box.exec(["true"], { stdin: input })).exitCode).toBe(0);
    expect((await context.box.exec("exec <&-; sleep 0.1; echo done", { stdin: input })).stdout).toBe(
      "done\n",
    );
  });

  it("lets go of an endless stdin when the command has ended", async () => {
    const released = new Promise<void>((resolve) => {
      const endless = new ReadableStream<Uint8Array>(
        { pull: (controller) => controller.enqueue(new Uint8Array(10_000)), cancel: () => resolve() },
        { highWaterMark: 0 },
      );
      context.box.exec(["head", "-c", "5"], { stdin: endless }).catch(() => {});
    });
    await released;
  });

  it("cancels the command when its stdin fails", async () => {
    const reason = new Error("the source broke");
    const stdin = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(reason) });
    expect(await failure(context.box.exec(["cat"], { stdin }))).toBe(reason);
  });

  it("joins the environments of the API, the box and the command", async () => {
    const { stdout } = await context.box.exec(["env"], { env: { FROM_EXEC: "a b\nc", LANG: "C" } });
    expect(stdout).toBe(
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" +
        "HOME=/root\nUSER=root\nLANG=C\nFROM_BOX=box\nFROM_EXEC=a b\nc\n",
    );
  });

  it("starts in the box's workdir, which create makes, or in the command's own", async () => {
    expect((await context.box.exec(["pwd"])).stdout).toBe("/root\n");
    expect((await context.box.exec(["pwd"], { workdir: "/etc" })).stdout).toBe("/etc\n");
    await using box = await context.client.create(context.target.image, {
      memoryMb: 256,
      workdir: "/work/a b",
    });
    expect((await box.exec(["pwd"])).stdout).toBe("/work/a b\n");
  });

  it("refuses a workdir that is missing, a file, or relative", async () => {
    for (const workdir of ["/no/such", "/etc/passwd", "etc"]) {
      const error = await failure(context.box.exec(["pwd"], { workdir }));
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      expect(error.message).toContain("workdir");
    }
  });

  it.each([
    { cmd: [] },
    { cmd: [""] },
    { cmd: ["a\0b"] },
    { timeoutMs: -1 },
    { timeoutMs: 0 },
    { timeoutMs: 1.5 },
    { maxOutputBytes: -1 },
    { stdin: 5 },
    { stderr: "both" },
    { env: { "": "x" } },
    { timeout: 5 },
  ])("refuses %j and names what is wrong", async (options) => {
    const { cmd = ["true"], ...rest } = options as { cmd?: string[] };
    const before = (await context.box.executions()).length;
    const error = await failure(context.box.exec(cmd, rest));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain(Object.keys(options)[0]);
    expect(await context.box.executions()).toHaveLength(before);
  });

  it("passes a command line as long as Linux takes it: 2 MiB in all, 128 KiB a word, any number of words", async () => {
    const long = "x".repeat(131_071);
    expect((await context.box.exec(["echo", long])).stdout).toBe(`${long}\n`);
    const count = async (words: string[]) =>
      (await context.box.exec(["sh", "-c", "echo $#", "sh", ...words])).stdout;
    expect(await count(Array(20).fill("x".repeat(104_000)))).toBe("20\n");
    expect(await count(Array(100_000).fill("word"))).toBe("100000\n");
  });

  it("refuses a command line that Linux would refuse, and says what is too long, by how much, and the limit", async () => {
    const message = async (cmd: string[], env?: Record<string, string>) => {
      const error = await failure(context.box.exec(cmd, env ? { env } : {}));
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      return error.message;
    };
    expect(await message(["echo", "fine", "x".repeat(131_072)])).toContain(
      "cmd[2] must be at most 131071 bytes (128 KiB with the terminating null), got 131072, 1 too many",
    );
    expect(await message(["true"], { LONG: "ü".repeat(65_536) })).toMatch(
      /"LONG" must be at most 131071 bytes .*, got 131077, 6 too many/,
    );
    expect(await message(["echo", ...Array<string>(21).fill("x".repeat(100_000))])).toMatch(
      /command and its environment together must be at most 2093056 bytes .*, got 2100\d\d\d, 7\d\d\d too many/,
    );
    expect(await message(["true"], { A: "b\0" })).toContain("env.A must not contain null");
    expect((await context.box.exec(["echo", "fine"])).stdout).toBe("fine\n");
  });

  it("says in words of the API what is wrong with a path", async () => {
    const path = `/${"x".repeat(5000)}`;
    expect((await failure(context.box.exec(["pwd"], { workdir: path }))).message).toMatch(
      /workdir must be from 0 to 4095 bytes, got 5001/,
    );
    const error = await failure(context.client.create(context.target.image, { workdir: path }));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toMatch(/workdir must be at most 4095 bytes, got 5001/);
  });

  it("gives both outputs as one, in the order they were printed, when it is asked to", async () => {
    const lines = Array.from({ length: 200 }, (_, i) => `out ${i}\nerr ${i}\n`).join("");
    const command = "i=0; while [ $i -lt 200 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done; exit 3";
    const seen: string[] = [];
    for (const encoding of ["text", "bytes"] as const) {
      const result = await context.box.exec(command, {
        stderr: "stdout",
        encoding,
        onStderr: (text) => seen.push(text),
      });
      expect(result).toMatchObject({ stdout: lines, stderr: "", exitCode: 3, status: "failed" });
      expect(result.cmd).toEqual(["/bin/sh", "-c", command]);
    }
    expect(seen).toEqual([]);
    const argv = ["printf", "%s|", "a  b", "", "$x", "*"];
    const exact = await context.box.exec(argv, { stderr: "stdout" });
    expect(exact).toMatchObject({ stdout: "a  b||$x|*|", exitCode: 0, cmd: argv });
    const missing = await context.box.exec(["no-such-command"], { stderr: "stdout" });
    expect(missing).toMatchObject({ stderr: "", exitCode: 127 });
    expect(missing.stdout).toMatch(/no-such-command.*not? (such|found)/);
    const execution = await context.box.execStream("echo err >&2; echo out", { stderr: "stdout" });
    const streams = new Set<string>();
    for await (const event of execution) if (event.type === "log") streams.add(event.stream);
    expect([...streams]).toEqual(["stdout"]);
  });

  it("throws TIMEOUT with what was printed, and ends the whole process group", async () => {
    const error = await failure(context.box.exec("echo begun; sleep 7001 & sleep 7002", { timeoutMs: 300 }));
    expect(error).toMatchObject({
      code: "TIMEOUT",
      result: {
        stdout: "begun\n",
        exitCode: null,
        status: "timeout",
        errorMessage: "timed out after 300 ms",
      },
    });
    expect((await context.box.exec("pgrep -f 'sleep 700[12]'")).exitCode).toBe(1);
  });

  it("throws only under check, with the result inside", async () => {
    expect((await context.box.exec("exit 3")).exitCode).toBe(3);
    const error = await failure(context.box.exec("echo out; echo why >&2; exit 3", { check: true }));
    expect(error).toMatchObject({
      code: "COMMAND_FAILED",
      name: "ExitError",
      result: { exitCode: 3, stdout: "out\n" },
    });
    expect(error.message).toContain("why");
    // Like JavaScript, whose stack follows the message.
    const thrown = await failure(
      context.box.exec("printf 'Error: why\\n    at f\\n' >&2; exit 1", { check: true }),
    );
    expect(thrown.message).toContain("exited with code 1: Error: why");
  });

  it("ends the command and rejects with the reason when the signal aborts", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const running = context.box.exec("echo begun; sleep 7003", {
      signal: controller.signal,
      onStdout: () => controller.abort(reason),
    });
    expect(await failure(running)).toBe(reason);
    const last = (await context.box.executions())[0]!;
    const ended = await (await context.box.execution(last.id)).wait();
    expect(ended).toMatchObject({ status: "canceled", exitCode: null });
    expect((await context.box.exec("pgrep -f 'sleep 7003'")).exitCode).toBe(1);
    expect(await failure(context.box.exec(["true"], { signal: controller.signal }))).toBe(reason);
  });

  it("hands output to the callbacks as it comes, text whole", async () => {
    const seen: string[] = [];
    await context.box.exec("printf 'h\\303'; sleep 0.2; printf '\\251\\n'; sleep 0.2; echo err >&2", {
      onStdout: (data) => seen.push(`out ${data}`),
      onStderr: (data) => seen.push(`err ${data}`),
    });
    expect(seen).toEqual(["out h", "out é\n", "err err\n"]);
  });

  it("ends with its main process: children left behind live on and hold up nothing", async () => {
    const { stdout } = await context.box.exec("(sleep 0.3; echo late; touch /root/left-behind) & echo now");
    expect(stdout).toBe("now\n");
    const { exitCode } = await context.box.exec("until [ -e /root/left-behind ]; do sleep 0.05; done");
    expect(exitCode).toBe(0);
  });

  it("delivers what a command's children print when its main process has ended, of both outputs", async () => {
    const afterEnd = "while kill -0 $$ 2> /dev/null; do :; done";
    const command = `(${afterEnd}; echo late; seq 50; echo err >&2) & echo now; exit 3`;
    const { stdout, stderr, exitCode } = await context.box.exec(command);
    expect(stdout.slice(0, 12)).toBe("now\nlate\n1\n2");
    expect(stdout.slice(-4)).toBe("\n50\n");
    expect([stderr, exitCode]).toEqual(["err\n", 3]);
  });

  it("ends by its time limit with those who go on printing when its main process has ended", async () => {
    // It is at work all the time.
    const work = "i=0; while [ $i -lt 500 ]; do i=$((i+1)); done";
    const command = `(trap '' TERM; while :; do echo tick; ${work}; done) & echo $! >&2`;
    const error = await failure(context.box.exec(command, { timeoutMs: 1000 }));
    expect(error).toMatchObject({ code: "TIMEOUT", result: { status: "timeout", exitCode: null } });
    const { stderr } = (error as unknown as { result: { stderr: string } }).result;
    expect((await context.box.exec(`kill -0 ${stderr}`)).exitCode).not.toBe(0);
  });

  it("leaves no zombies of orphans", async () => {
    await context.box.exec("for i in 1 2 3 4 5; do (sleep 0.05 &) ; done; sleep 0.3");
    expect((await context.box.exec("ps -o stat | grep -c '^Z'")).stdout).toBe("0\n");
  });

  it("runs a script by its interpreter line", async () => {
    await context.box.upload(new TextEncoder().encode("#!/bin/sh\necho script $1\n"), "/root/script", {
      mode: 0o755,
    });
    expect((await context.box.exec(["./script", "one"])).stdout).toBe("script one\n");
  });
}
