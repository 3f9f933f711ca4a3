import type { Context } from "./target.js";
import { failure } from "./tools.js";

/** Forms of a command, and what results and events are like in each. */
export function commandCases(context: Context): void {
  const { it, expect } = context;
  const text = async (events: AsyncIterable<{ type: string; data?: string }>) => {
    let all = "";
    for await (const event of events) if (event.type === "log") all += event.data;
    return all;
  };

  it("runs a program with an array of its arguments, without a shell", async () => {
    const result = await context.box.exec("printf", ["%s|", "$HOME", "a  b", "", "*"], { timeoutMs: 50_000 });
    expect(result).toMatchObject({ exitCode: 0, stdout: "$HOME|a  b||*|" });
    expect(result.cmd).toEqual(["printf", "%s|", "$HOME", "a  b", "", "*"]);
    expect((await context.box.exec("no such program", [])).exitCode).toBe(127);
    expect(await text(context.box.execStream("echo", ["a  b", "$HOME"]))).toBe("a  b $HOME\n");
    const { stdout } = await context.client.run(context.target.image, "echo", ["$HOME"], { cpu: 1 });
    expect(stdout).toBe("$HOME\n");
  });

  it("takes the values of a shell template as words, whatever is in them", async () => {
    const words = [
      "$(id)",
      "`id`",
      "$HOME",
      "'",
      '"',
      "a\nb\n",
      "-n",
      "\\",
      "*",
      "; id",
      "#",
      "if",
      "é\u{1f600}",
      "",
    ];
    const all = await context.box.sh`printf '%s|' ${words}`;
    expect(all).toMatchObject({ stdout: words.map((word) => `${word}|`).join(""), stderr: "", exitCode: 0 });
    const inEtc = context.box.sh({ cwd: "/etc", env: { A: "it's" }, check: true });
    const { stdout } =
      await inEtc`printf '%s|' "$(pwd)" "$A" --x=${"a  b"}c ${[]} $((${2} + 1)) | tr a-c A-C`;
    expect(stdout).toBe("/etC|it's|--x=A  BC|3|");
    expect(await failure(inEtc`exit ${7}`)).toMatchObject({ code: "COMMAND_FAILED" });
    const before = (await context.box.executions()).length;
    for (const call of [context.box.sh`echo ${"a\0b"}`, context.box.sh`echo "hello ${"$(id)"}"`])
      expect(await failure(call)).toMatchObject({ code: "VALIDATION_ERROR" });
    expect((await context.box.executions()).length).toBe(before);
  });

  it("starts a command in cwd, and refuses cwd beside workdir", async () => {
    expect((await context.box.exec("pwd", { cwd: "/etc" })).stdout).toBe("/etc\n");
    expect(await text(context.box.execStream("pwd", [], { cwd: "/tmp" }))).toBe("/tmp\n");
    const before = (await context.box.executions()).length;
    expect(await failure(context.box.exec("pwd", { cwd: "/etc", workdir: "/etc" }))).toMatchObject({
      code: "VALIDATION_ERROR",
      message: "give cwd or workdir, not both",
    });
    expect((await context.box.executions()).length).toBe(before);
  });

  it("streams the events of a command that is iterated over without being awaited", async () => {
    const starting = context.box.execStream("echo one; echo two; exit 3");
    const exits: unknown[] = [];
    for await (const event of starting) if (event.type === "exit") exits.push(event.exitCode);
    expect(exits).toEqual([3]);
    expect(await text(starting)).toBe("one\ntwo\n");
    expect(await text(await starting)).toBe("one\ntwo\n");
    expect(await text(context.box.spawn(["echo", "three"]))).toBe("three\n");
  });

  it("cancels a command whose reader leaves before it runs", async () => {
    const starting = context.box.execStream("sleep 7043");
    const events = starting[Symbol.asyncIterator]();
    const pending = events.next();
    await events.return();
    expect(await pending).toEqual({ done: true, value: undefined });
    const execution = await starting;
    expect((await execution.info()).status).toBe("canceled");
  });

  it("rejects the loop over a command that cannot be started", async () => {
    const gone = await context.client.create(context.target.image);
    await gone.remove({ force: true });
    const starting = gone.execStream("true");
    for (const call of [text(starting), text(starting), starting])
      expect(await failure(call)).toMatchObject({ code: "BOX_NOT_FOUND" });
  });

  it("tells whether a command succeeded and how long it took, and gives its output as a word", async () => {
    const good = await context.box.exec("sleep 0.3; echo; echo word");
    expect(good).toMatchObject({ ok: true, stdout: "\nword\n" });
    expect(good.text()).toBe("\nword");
    expect(good.check()).toBe(good);
    expect(good.durationMs).toBeGreaterThanOrEqual(250);
    const bad = await context.box.exec("echo out; echo why >&2; exit 3");
    expect(bad.ok).toBe(false);
    const error = await failure(Promise.resolve().then(() => bad.check()));
    expect(error).toMatchObject({ code: "COMMAND_FAILED", result: { exitCode: 3 } });
    expect(error.message).toContain("exited with code 3: why");
  });
}
