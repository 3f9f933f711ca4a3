import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const CLI = join(import.meta.dirname, "../../dist/node/cli.js");

function boxrun(args: string[], input?: string) {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: "pipe" });
  const outputs = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (outputs.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (outputs.stderr += text));
  if (input !== undefined) child.stdin.end(input);
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...outputs }));
  return { child, outputs, ended };
}

describe("boxrun", () => {
  it("streams both outputs apart and exits with the command's code", async () => {
    const { ended } = boxrun(["run", "tiny", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]);
    expect(await ended).toEqual({ code: 3, signal: null, stdout: "out\n", stderr: "err\n" });
  });

  it("passes stdin", async () => {
    const { ended } = boxrun(["run", "--memory", "256", "tiny", "--", "sort"], "b\nc\na\n");
    expect(await ended).toMatchObject({ code: 0, stdout: "a\nb\nc\n" });
  });

  it("ends when the command ends, though stdin is still open", async () => {
    expect(await boxrun(["run", "--memory", "256", "tiny", "--", "true"]).ended).toMatchObject({ code: 0 });
  });

  it("passes environment, workdir and time limit", async () => {
    const options = ["--memory", "256", "-e", "A=b c", "--env", "D==", "-w", "/etc"];
    const shown = boxrun(["run", ...options, "tiny", "--", "sh", "-c", 'echo "$A $D $PWD"'], "");
    expect(await shown.ended).toMatchObject({ code: 0, stdout: "b c = /etc\n" });
    const slow = boxrun(["run", "--memory", "256", "--timeout", "300", "tiny", "--", "sleep", "60"], "");
    expect(await slow.ended).toMatchObject({
      code: 124,
      stderr: expect.stringContaining("timed out after 300 ms"),
    });
  });

  it("exits as a shell does for a command that is not there", async () => {
    const { code, stderr } = await boxrun(["run", "--memory", "256", "tiny", "--", "nope"], "").ended;
    expect(code).toBe(127);
    expect(stderr).toContain("nope");
  });

  it("cancels the command on Ctrl-C and exits with 130", async () => {
    const { child, ended } = boxrun([
      "run",
      "--memory",
      "256",
      "tiny",
      "--",
      "sh",
      "-c",
      "echo up; sleep 60",
    ]);
    await once(child.stdout, "data");
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 130, stdout: "up\n" });
  });

  it("stops when the reader of its output has gone", async () => {
    const { child, ended } = boxrun(["run", "--memory", "256", "tiny", "--", "yes"], "");
    await once(child.stdout, "data");
    child.stdout.destroy();
    expect((await ended).signal).toBeNull();
  });

  it("lists the images", async () => {
    expect((await boxrun(["images"]).ended).stdout).toMatch(/^tiny, alpine, busybox\tBusyBox/);
  });

  it.each([
    [["run", "windows", "--", "true"], 125, /IMAGE_PULL_FAILED/],
    [["run", "--memory", "5", "tiny", "--", "true"], 125, /memoryMb/],
    [["run", "tiny"], 2, /run needs a command/],
    [["run", "tiny", "true"], 2, /put -- before the command/],
    [["run", "--", "true"], 2, /run needs an image/],
    [["run", "--memory", "x", "tiny", "--", "true"], 2, /--memory/],
    [["run", "--no-such", "tiny", "--", "true"], 2, /no-such/],
    [["fly"], 2, /no command fly/],
    [[], 2, /which command/],
  ])("says what is wrong with %j", async (args, code, why) => {
    const result = await boxrun(args, "").ended;
    expect(result.code).toBe(code);
    expect(result.stderr).toMatch(why);
    expect(result.stdout).toBe("");
  });

  it("explains itself", async () => {
    expect(await boxrun(["--help"]).ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("Usage:"),
    });
  });
});
