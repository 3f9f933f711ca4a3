import { tmpdir } from "node:os";
import { expect, it } from "vitest";
import { startProcess } from "../runtimes/launch.js";
import type { Message } from "../runtimes/messages.js";
import { Progress } from "../runtimes/progress.js";
import { SmallRunner } from "../runtimes/runner.js";

async function messagesOf(
  declare: (runner: SmallRunner) => void,
  only?: readonly string[],
): Promise<Message[]> {
  const runner = new SmallRunner(only);
  declare(runner);
  const messages: Message[] = [];
  await runner.run(async (message) => void messages.push(message));
  return messages;
}

it("runs cases in order, and reports what each failed with", async () => {
  const messages = await messagesOf(({ describe, it, beforeAll, afterAll, expect }) => {
    const done: string[] = [];
    describe("outer", () => {
      beforeAll(async () => void done.push("before"));
      describe("inner", () => it("passes", async () => expect(done).toEqual(["before"])));
      it("fails", async () => expect(1).toBe(2));
      afterAll(async () => {
        throw new Error("after");
      });
    });
  });
  expect(messages).toEqual([
    {
      type: "cases",
      cases: [
        ["outer", "inner", "passes"],
        ["outer", "fails"],
      ],
    },
    { type: "result", index: 0 },
    { type: "result", index: 1, error: expect.stringContaining("expected 1 to be 2") },
    { type: "end", error: expect.stringContaining("after") },
  ]);
});

it("runs the groups alone that it is asked for, and fails when there is none of such a name", async () => {
  const ran: string[] = [];
  const declare = ({ describe, it, beforeAll }: SmallRunner) =>
    describe("all", () => {
      beforeAll(async () => void ran.push("before"));
      for (const group of ["files", "ports", "life"])
        describe(group, () => it("is there", async () => void ran.push(group)));
    });
  const [first] = await messagesOf(declare, ["life", "files"]);
  expect(first).toEqual({
    type: "cases",
    cases: [
      ["all", "files", "is there"],
      ["all", "life", "is there"],
    ],
  });
  expect(ran).toEqual(["before", "files", "life"]);
  await expect(messagesOf(declare, ["life", "fils"])).rejects.toThrow("no groups of these names: fils");
});

it("fails every case when what comes before them fails", async () => {
  const messages = await messagesOf(({ it, beforeAll }) => {
    beforeAll(() => Promise.reject(new Error("no server")));
    it("one", async () => {});
    it("two", async () => {});
  });
  expect(messages.slice(1, 3)).toEqual(
    [0, 1].map((index) => ({ type: "result", index, error: expect.stringContaining("no server") })),
  );
});

it("fails the cases that a runtime still owes when it ends, and keeps those that it has told", async () => {
  const progress = new Progress();
  progress.take({ type: "cases", cases: [["told"], ["failed"], ["owed"]] });
  progress.take({ type: "result", index: 0 });
  progress.take({ type: "result", index: 1, error: "Error: wrong" });
  progress.fail(new Error("ended with SIGSEGV"));
  await progress.result(0);
  await expect(progress.result(1)).rejects.toThrow("wrong");
  await expect(progress.result(2)).rejects.toThrow("SIGSEGV");
  await expect(progress.end).rejects.toThrow("SIGSEGV");
});

it("has nothing to run when a runtime ends before it has told its cases, and says so", async () => {
  const progress = new Progress();
  progress.fail(new Error("ended with code 1"));
  progress.take({ type: "cases", cases: [["late"]] });
  await expect(progress.cases).rejects.toThrow("code 1");
  await expect(progress.result(0)).rejects.toThrow("code 1");
});

it("tells how a process ended, with its last words", async () => {
  const start = (script: string) => startProcess(process.execPath, ["-e", script], { cwd: tmpdir() });
  expect(await start("").ended).toBe("with code 0");
  expect(await start("console.error('last words'); process.exit(3)").ended).toBe("with code 3: last words\n");
  const endless = start("setInterval(() => {}, 1000)");
  await endless.stop();
  expect(await endless.ended).toMatch(/^with SIGKILL/);
  expect(await startProcess("/no/such/runtime", [], { cwd: tmpdir() }).ended).toMatch(
    /before it was started.*ENOENT/,
  );
});
