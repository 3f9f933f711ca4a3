import { describe, expect, it } from "vitest";
import type { ExecSpec } from "../../../src/backend/backend.js";
import { type ExitHow, type GuestFrame, STAGES } from "../../../src/local/protocol/frame-types.js";
import { runningBox } from "../fake-machine.js";

const EXEC: ExecSpec = { cmd: ["prog"], env: null, workdir: null, timeoutMs: null, stdin: false };
const ENOEXEC = 8;
const FORMAT = expect.stringMatching(/^exec format error: .*i686.*32-bit.*#!/);
const INSTRUCTION = expect.stringMatching(/^killed by signal 4 \(illegal instruction\): .*no .*AVX/);

/** How a command reads that the guest has answered with these frames. */
async function endedBy(...answer: ((stream: number) => GuestFrame)[]) {
  const { backend, id, machine } = await runningBox();
  const asked = machine.next("exec");
  const starting = backend.startExec(id, EXEC);
  const { stream } = await asked;
  machine.send(...answer.map((frame) => frame(stream)));
  const { id: execId } = await starting;
  return backend.waitExec(id, execId, {});
}

const started = (stream: number): GuestFrame => ({ type: "started", stream, pid: 7 });
const printed =
  (text: string, channel: "stdout" | "stderr" = "stderr") =>
  (stream: number): GuestFrame => ({ type: "data", stream, channel, data: new TextEncoder().encode(text) });
const exit =
  (how: ExitHow, value: number) =>
  (stream: number): GuestFrame => ({ type: "exit", stream, how, value });

describe("a program that this machine cannot run", () => {
  it("is named as one of another format", async () => {
    const info = await endedBy((stream) => ({
      type: "fail",
      stream,
      stage: STAGES.exec,
      errno: ENOEXEC,
      detail: "prog",
    }));
    expect(info).toMatchObject({ status: "failed", exitCode: 126, errorMessage: FORMAT });
  });

  it.each([
    ["dash", "/bin/sh: 1: ./prog: Exec format error\n"],
    ["bash", "bash: line 1: ./prog: cannot execute binary file: Exec format error\n"],
  ])("is named so where %s has tried it", async (_, text) => {
    const info = await endedBy(started, printed(text), exit("exited", 126));
    expect(info.errorMessage).toEqual(FORMAT);
  });

  it("is named as one with an instruction that is not there", async () => {
    const info = await endedBy(started, exit("signaled", 4));
    expect(info).toMatchObject({ status: "failed", exitCode: 132, errorMessage: INSTRUCTION });
  });

  it("is named so where a shell tells of it, in pieces, on the one output that there is", async () => {
    const text = ["Illegal ", "instruction\n"].map((piece) => printed(piece, "stdout"));
    const info = await endedBy(started, ...text, exit("exited", 132));
    expect(info.errorMessage).toEqual(INSTRUCTION);
  });

  it.each([
    ["126", "sh: ./notes: Permission denied\n", exit("exited", 126)],
    ["132 of its own", "bye\n", exit("exited", 132)],
    [
      "132 after it had printed those words long before",
      `Illegal instruction${".".repeat(2000)}`,
      exit("exited", 132),
    ],
    ["another code, with those words", "Exec format error\n", exit("exited", 1)],
    ["another signal", "bye\n", exit("signaled", 11)],
    ["success, with those words", "Illegal instruction\n", exit("exited", 0)],
  ])("is not made out of %s", async (_, text, end) => {
    const info = await endedBy(started, printed(text), end);
    expect(info.errorMessage).toBeNull();
  });
});
