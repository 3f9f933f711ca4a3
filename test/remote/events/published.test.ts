import { describe, expect, it, onTestFinished } from "vitest";
import { BoxRunClient, type ListOptions } from "../../../src/index.js";
import { failure } from "../../../src/testing/contract/tools.js";
import { FakeBackend, type FakeProcess } from "../../../src/testing.js";
import { deferred } from "../../../src/util/deferred.js";
import { type PublishedOptions, publishedServer } from "../../published/server.js";

/** The client of a published server, and a box on it, whose programs are functions. */
async function open(
  options: PublishedOptions = {},
  programs: Record<string, (process: FakeProcess) => unknown> = {},
  silenceMs = 100,
) {
  const backend = new FakeBackend({ programs });
  const seen: string[] = [];
  const server = publishedServer(backend, options);
  const fetch = (request: Request) => {
    seen.push(`${request.method} ${new URL(request.url).pathname}`);
    return server(request);
  };
  const newClient = () => {
    const client = new BoxRunClient({
      backend: "remote",
      baseUrl: "http://published.test",
      fetch,
      timeouts: { silenceMs },
    });
    onTestFinished(() => client.close());
    return client;
  };
  const client = newClient();
  const box = await client.create("fake");
  return { backend, client, newClient, box, seen };
}

/** Prints to both outputs, a line each time. */
async function chatter({ write }: FakeProcess): Promise<void> {
  for (let i = 0; i < 20; i++) {
    write(`out ${i}\n`);
    write(`err ${i}\n`, "stderr");
    await new Promise((resolve) => setImmediate(resolve));
  }
}
const LINES = (stream: string) => Array.from({ length: 20 }, (_, i) => `${stream} ${i}\n`).join("");

/** Prints a line, and then runs until it is ended. */
async function silent({ write, signal }: FakeProcess): Promise<void> {
  write("begun\n");
  await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

describe("output over a published server", () => {
  it.each([0, 1] as const)("is whole from the first event on, numbered from %i", async (firstSeq) => {
    const { box } = await open({ firstSeq });
    expect(await box.exec(["echo", "hello"])).toMatchObject({ stdout: "hello\n", exitCode: 0 });
    const execution = await box.execStream(["echo", "hello"]);
    const seqs: number[] = [];
    for await (const { seq } of execution) seqs.push(seq);
    expect(seqs).toEqual([1, 2]);
  });

  it.each(Array.from({ length: 20 }, (_, seed) => seed))(
    "is whole when its two tasks overtake each other, for every reader: seed %i",
    async (seed) => {
      const { box } = await open({ seed }, { chatter });
      const execution = await box.execStream(["chatter"]);
      const read = async () => {
        const text = { stdout: "", stderr: "" };
        const seqs: number[] = [];
        for await (const event of execution) {
          seqs.push(event.seq);
          if (event.type === "log") text[event.stream] += event.data;
        }
        return { ...text, seqs };
      };
      const whole = {
        stdout: LINES("out"),
        stderr: LINES("err"),
        seqs: Array.from({ length: 41 }, (_, i) => i + 1),
      };
      const live = [read(), read()];
      for (const reader of [...live, read()]) expect(await reader).toEqual(whole);
      // The server writes it down a moment after it has told of it.
      expect(await execution.info()).toMatchObject({ status: "succeeded", finishedAt: expect.any(Date) });
      expect(await read()).toEqual(whole);
    },
  );
});

describe("the end of a command on a published server", () => {
  it("reaches its readers when this client cancels it, by whichever handle", async () => {
    // Long: nothing but the cancel itself tells its readers.
    const { box, client } = await open({ keepAliveMs: 10 }, { silent }, 600_000);
    const execution = await box.execStream(["silent"], { detached: true });
    const events = execution[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ data: "begun\n" });
    const end = events.next();
    const other = await (await client.getBox(box.id)).execution(execution.id);
    expect(await other.cancel()).toMatchObject({ status: "canceled", exitCode: null });
    expect((await end).value).toMatchObject({ type: "exit", exitCode: null, seq: 2 });
    expect(await execution.wait()).toMatchObject({ status: "canceled", exitCode: null });
  });

  it.each([
    ["says nothing more", true, silent],
    [
      "goes on printing",
      false,
      async ({ write }: FakeProcess) => {
        for (;;) {
          write("more\n");
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      },
    ],
  ])("is found out when another client cancels it, and it %s", async (_, cancelKills, program) => {
    const { box, newClient } = await open({ keepAliveMs: 10, cancelKills }, { program });
    const begun = deferred();
    const running = failure(box.exec(["program"], { onStdout: () => begun.resolve() }));
    await begun.promise;
    const theirs = await newClient().getBox(box.id);
    const [info] = await theirs.executions();
    await (await theirs.execution(info!.id)).cancel();
    expect(await running).toMatchObject({ code: "CANCELED", result: { status: "canceled", exitCode: null } });
  });

  it("is waited for through keep-alives, on one connection, while the command runs", async () => {
    const go = deferred();
    const { box, seen } = await open(
      { keepAliveMs: 10 },
      {
        slow: async ({ write }) => {
          await go.promise;
          write("late\n");
        },
      },
    );
    const running = box.exec(["slow"]);
    // It was asked for its state, and says that it runs.
    await expect.poll(() => seen.filter((line) => /GET .*exec_\w+$/.test(line)).length).toBeGreaterThan(1);
    go.resolve();
    expect(await running).toMatchObject({ stdout: "late\n", exitCode: 0 });
    expect(seen.filter((line) => line.endsWith("/events"))).toHaveLength(1);
  });

  it.each([-14, -15, -9] as const)(
    "is TIMEOUT after its time limit, which it tells by %i",
    async (timeLimitCode) => {
      const { box, client } = await open({ timeLimitCode }, { silent });
      const ended = { status: "timeout", exitCode: null, errorMessage: "timed out after 30 ms" };
      expect(await failure(box.exec(["silent"], { timeoutMs: 30 }))).toMatchObject({
        code: "TIMEOUT",
        result: { ...ended, stdout: "begun\n" },
      });
      expect(await failure(client.run("fake", ["silent"], { timeoutMs: 30 }))).toMatchObject({
        code: "TIMEOUT",
        result: { ...ended, stdout: "begun\n" },
      });
      const execution = await box.execStream(["silent"], { timeoutMs: 30 });
      expect(await execution.wait()).toMatchObject(ended);
      expect(await execution.info()).toMatchObject(ended);
      const codes: (number | null)[] = [];
      for await (const event of execution) if (event.type === "exit") codes.push(event.exitCode);
      expect(codes).toEqual([null]);
      expect((await box.executions())[0]).toMatchObject(ended);
    },
  );

  it.each([
    [137, 137],
    [143, 143],
    [129, 129],
  ])("is 128 + signal by every way to ask: %i", async (code, exitCode) => {
    // The emulation tells these by negative numbers.
    const { box } = await open({}, { killed: () => code });
    const ended = { status: "failed", exitCode, errorMessage: null };
    expect(await box.exec(["killed"], { timeoutMs: 60_000 })).toMatchObject(ended);
    const execution = await box.execStream(["killed"]);
    expect(await execution.wait()).toMatchObject(ended);
    expect(await execution.info()).toMatchObject(ended);
    expect((await box.executions())[0]).toMatchObject(ended);
  });

  it("is BOX_NOT_RUNNING when its box has ended", async () => {
    const { box, newClient } = await open({}, { silent });
    const begun = deferred();
    const running = failure(box.exec(["silent"], { onStdout: () => begun.resolve() }));
    const execution = await box.execStream(["silent"]);
    const reading = failure(new Response(execution.output()).text());
    const waiting = failure(execution.wait());
    await begun.promise;
    await (await newClient().getBox(box.id)).stop();
    for (const error of [await running, await reading, await waiting]) {
      expect(error).toMatchObject({ code: "BOX_NOT_RUNNING" });
      expect(error.message).toMatch(/ended while the command ran.*stopped/);
    }
    expect(await execution.info()).toMatchObject({
      status: "error",
      exitCode: null,
      errorMessage: expect.stringContaining("the box ended"),
    });
    await box.start();
    expect(await failure(execution.wait())).toMatchObject({ code: "BOX_NOT_RUNNING" });
  });

  it("is BOX_NOT_FOUND when its box was removed", async () => {
    const { box, newClient } = await open({}, { silent });
    const begun = deferred();
    const running = failure(box.exec(["silent"], { onStdout: () => begun.resolve() }));
    await begun.promise;
    await (await newClient().getBox(box.id)).remove({ force: true });
    expect(await running).toMatchObject({ code: "BOX_NOT_FOUND" });
  });

  it("is exit code 127 for a program that is not there, by every way to ask", async () => {
    const { box, client } = await open();
    const ended = { status: "failed", exitCode: 127 };
    const stderr = expect.stringMatching(/^nothing: no such file/);
    expect(await box.exec(["nothing"])).toMatchObject({ ...ended, stderr, stdout: "" });
    expect(await client.run("fake", ["nothing"])).toMatchObject({ ...ended, stderr });
    const execution = await box.execStream(["nothing"]);
    expect(await execution.wait()).toMatchObject(ended);
    expect(await execution.info()).toMatchObject(ended);
    expect(await new Response(execution.output("stderr")).text()).toMatch(/^nothing: no such file/);
    const listed = await box.executions();
    expect(listed).toMatchObject([ended, ended]);
    expect(listed.map(({ id }) => id)).toContain(execution.id);
    for (const { id } of listed) expect(await (await box.execution(id)).wait()).toMatchObject(ended);
    expect((await box.execution(execution.id)).id).toBe(execution.id);
    expect(await failure(execution.cancel())).toMatchObject({ code: "EXEC_ALREADY_FINISHED" });
  });
});

it("a start that failed hides no other command that runs", async () => {
  const { backend, box } = await open({}, { silent });
  const other = await box.execStream(["silent"], { detached: true });
  const runs = await box.execStream(["nothing"], { env: { A: "1" } });
  expect(await runs.wait()).toMatchObject({ exitCode: 127 });
  const again = await box.execStream(["nothing"]);
  const statuses = new Map((await box.executions()).map(({ id, status }) => [id, status]));
  expect(statuses).toEqual(
    new Map([
      [other.id, "running"],
      [runs.id, "failed"],
      [again.id, "failed"],
    ]),
  );
  await backend.cancelExec(box.id, other.id);
});

/** Resolves in a later millisecond than that of `time`. */
async function untilAfter(time: Date): Promise<void> {
  while (Date.now() <= time.getTime()) await new Promise((resolve) => setImmediate(resolve));
}

describe("lists of a published server", () => {
  it("are newest first, and those of the status all are all", async () => {
    const { box, client } = await open();
    // Those of one millisecond are in the order of their ids, which are random.
    await untilAfter(box.info.createdAt);
    const second = await client.create("fake", { network: true });
    expect(second.info).toMatchObject({ network: true, volumes: null });
    await second.stop();
    const ids = async (status?: ListOptions["status"]) =>
      (await client.listBoxes(status === undefined ? {} : { status })).map(({ id }) => id);
    expect(await ids()).toEqual([second.id, box.id]);
    expect(await ids("all")).toEqual([second.id, box.id]);
    const first = await box.execStream(["true"]);
    await untilAfter(first.started.createdAt);
    const next = await box.execStream(["nothing"]);
    await untilAfter(next.started.createdAt);
    const last = await box.execStream(["true"]);
    expect((await box.executions()).map(({ id }) => id)).toEqual([last.id, next.id, first.id]);
    expect(await ids("stopped")).toEqual([second.id]);
    await client.gc({ olderThan: 0 });
    expect(await ids()).toEqual([box.id]);
  });
});

it("a body of more than 2 MB is refused by a published server in words, not in JSON", async () => {
  const { backend, box, seen } = await open();
  await box.upload(new Uint8Array(100_000), "/root/small");
  expect(seen.filter((line) => line.endsWith("/files/upload"))).toHaveLength(1);
  const form = new FormData();
  form.append("dest", "/root/large");
  form.append("file", new Blob([new Uint8Array(2 * 2 ** 20)]));
  const url = `http://published.test/v1/boxes/${box.id}/files/upload`;
  const answer = await publishedServer(backend)(new Request(url, { method: "POST", body: form }));
  expect([answer.status, await answer.text()]).toEqual([413, "length limit exceeded"]);
});
