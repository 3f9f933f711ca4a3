import type { BoxHandle, ListOptions } from "../../index.js";
import type { Context } from "./target.js";
import { failure, pattern, sha256 } from "./tools.js";

/** Cases for boxes that are stopped, started again, and removed. */
export function lifeCases(context: Context): void {
  const { it, expect } = context;
  const create = (options: object = {}) =>
    context.client.create(context.target.image, { memoryMb: 256, ...options });
  const ids = async (status?: ListOptions["status"]) =>
    (await context.client.listBoxes(status === undefined ? {} : { status })).map(({ id }) => id);

  it("keeps a box's files, name, environment and workdir across stop and start", async () => {
    await using box = await create({ name: "keeper", workdir: "/work", env: { KEPT: "yes" } });
    const bytes = pattern(3_000_000);
    await box.upload(bytes, "/root/big");
    await box.exec("echo text > file; chmod 750 file; ln -s file link; rm -f /etc/motd");
    const stopped = await box.stop();
    expect(stopped).toMatchObject({ id: box.id, name: "keeper", status: "stopped" });
    // How it came up is said of what runs.
    expect(stopped.local?.boot ?? null).toBe(null);
    expect(stopped.stoppedAt!.getTime()).toBeGreaterThanOrEqual(stopped.startedAt!.getTime());
    const started = await box.start();
    expect(started).toMatchObject({ id: box.id, status: "running", errorCode: null });
    expect(started.local?.boot ?? "snapshot").toBe("snapshot");
    expect(started.createdAt).toEqual(stopped.createdAt);
    expect(started.startedAt!.getTime()).toBeGreaterThan(stopped.startedAt!.getTime());
    const { stdout } = await box.exec("pwd; echo $KEPT; cat link; stat -c %a file; sha256sum < /root/big");
    expect(stdout).toBe(`/work\nyes\ntext\n750\n${await sha256(bytes)}  -\n`);
    expect((await context.client.getBox("keeper")).id).toBe(box.id);
  });

  it("creates a box with files in it", async () => {
    await using box = await create({
      workdir: "/srv/app",
      files: {
        "/srv/app/main.sh": "echo from main; ./lib",
        "/srv/app/lib": { data: "#!/bin/sh\necho from lib", mode: 0o755 },
      },
    });
    expect((await box.exec("sh main.sh")).stdout).toBe("from main\nfrom lib\n");
  });

  it("leaves no box whose files cannot be written", async () => {
    const before = await ids();
    const files = { "/srv/a": "1", "/etc/passwd/x": "2" };
    const error = await failure(create({ files }));
    expect(error).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(error.message).toContain("/etc/passwd/x");
    expect(await ids()).toEqual(before);
  });

  it("gives the box of a name to all who ask for it at once, and starts it", async () => {
    const get = (options = {}) =>
      context.client.getOrCreate("wanted", context.target.image, { memoryMb: 256, ...options });
    const boxes = await Promise.all([get(), get(), get()]);
    const [box] = boxes;
    try {
      expect(new Set(boxes.map(({ id }) => id)).size).toBe(1);
      await box.exec("echo kept > /root/kept");
      await box.stop();
      expect((await (await get()).exec("cat /root/kept")).stdout).toBe("kept\n");
      const error = await failure(get({ memoryMb: 512 }));
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      expect(error.message).toContain("memoryMb 256, asked for 512");
    } finally {
      await box.remove({ force: true });
    }
  });

  it("keeps what was written a moment before the stop, time after time", async () => {
    await using box = await create();
    for (let round = 1; round <= 3; round++) {
      await box.exec(`echo ${round} >> /root/rounds`);
      await box.stop();
      await box.start();
    }
    expect((await box.exec(["cat", "/root/rounds"])).stdout).toBe("1\n2\n3\n");
  });

  it("runs nothing in a box that is stopped, and says so", async () => {
    await using box = await create();
    await box.stop();
    expect((await box.refresh()).status).toBe("stopped");
    for (const call of [
      () => box.exec(["true"]),
      () => box.upload("x", "/root/x").catch(() => box.upload(new Uint8Array(1), "/root/x")),
      () => box.download("/etc/passwd"),
      () => box.stop(),
    ]) {
      expect(await failure(call())).toMatchObject({ code: "BOX_NOT_RUNNING" });
    }
  });

  it("refuses to start a box that runs, and knows nothing of one that is not there", async () => {
    expect(await failure(context.box.start())).toMatchObject({ code: "BOX_ALREADY_RUNNING" });
    const box = await create();
    await box.remove({ force: true });
    for (const call of [() => box.start(), () => box.stop(), () => box.refresh()]) {
      expect(await failure(call())).toMatchObject({ code: "BOX_NOT_FOUND" });
    }
  });

  it("cancels what runs when the box is stopped, and remembers it", async () => {
    await using box = await create();
    const execution = await box.execStream("echo begun; sleep 7101", { detached: true });
    const events = execution[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ data: "begun\n" });
    // Both at once: whichever fails first fails this case, not the run.
    const [ended] = await Promise.all([execution.wait(), box.stop()]);
    expect(ended).toMatchObject({ status: "canceled", exitCode: null });
    expect((await events.next()).value).toMatchObject({ type: "exit", exitCode: null });
    await box.start();
    expect(await (await box.execution(execution.id)).info()).toMatchObject({ status: "canceled" });
    expect((await box.exec("pgrep -f 'sleep 7101'")).exitCode).toBe(1);
  });

  it("remembers its executions across stop and start, newest first, with what they printed", async () => {
    await using box = await create();
    const first = await box.execStream("echo out; echo err >&2; exit 3");
    await first.wait();
    const second = await box.exec(["true"]);
    const before = await box.executions();
    await box.stop();
    expect((await box.executions()).map(({ id }) => id)).toEqual([second.id, first.id]);
    await box.start();
    expect(await box.executions()).toEqual(before);
    const found = await box.execution(first.id);
    expect(await found.wait()).toMatchObject({ exitCode: 3, status: "failed" });
    const seen: string[] = [];
    for await (const event of found) {
      seen.push(event.type === "log" ? `${event.stream} ${event.data}` : `exit ${event.exitCode}`);
    }
    expect(seen.sort()).toEqual(["exit 3", "stderr err\n", "stdout out\n"]);
    expect(await failure(found.cancel())).toMatchObject({ code: "EXEC_ALREADY_FINISHED" });
  });

  it("lists boxes by status, newest first", async () => {
    await using one = await create();
    await using two = await create();
    await one.stop();
    expect(await ids("stopped")).toContain(one.id);
    expect(await ids("stopped")).not.toContain(two.id);
    expect(await ids("running")).toContain(two.id);
    expect(await ids("running")).not.toContain(one.id);
    const all = await ids();
    expect(all.indexOf(two.id)).toBeLessThan(all.indexOf(one.id));
    expect(all).toContain(two.id);
    expect(await ids("all")).toEqual(all);
  });

  it("removes a stopped box without force", async () => {
    const box = await create();
    await box.stop();
    await box.remove();
    expect(await failure(box.refresh())).toMatchObject({ code: "BOX_NOT_FOUND" });
  });

  it("clears away boxes that have been stopped for long, and no others", async () => {
    const stopped = await create();
    await using running = await create();
    await stopped.stop();
    await context.client.gc();
    expect(await ids()).toContain(stopped.id);
    expect(await context.client.gc({ olderThan: 0 })).toBeGreaterThanOrEqual(1);
    expect(await ids()).not.toContain(stopped.id);
    expect(await ids()).toContain(running.id);
    expect(await failure(context.client.gc({ olderThan: -1 }))).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("tells what a box takes, and how much it may", async () => {
    await using box = await create({ diskSizeGb: 2 });
    const before = await box.usage();
    expect(before).toMatchObject({ diskLimitBytes: 2 * 2 ** 30, persistent: expect.any(Boolean) });
    await box.exec("dd if=/dev/urandom of=/root/noise bs=65536 count=50 2> /dev/null; sync");
    const after = await box.usage();
    expect(after.diskBytes - before.diskBytes).toBeGreaterThan(2_500_000);
    expect(after.diskBytes).toBeLessThan(after.diskLimitBytes);
  });

  it("starts a box for one of two that ask at once", async () => {
    await using box = await create();
    await box.stop();
    const handles: BoxHandle[] = [box, await context.client.getBox(box.id)];
    const results = await Promise.allSettled(handles.map((handle) => handle.start()));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await box.refresh()).toMatchObject({ status: "running" });
  });

  it("tells of boxes that are made, stopped, started and removed, as that happens", async () => {
    const controller = new AbortController();
    const lists = context.client.watchBoxes({ signal: controller.signal });
    const becomes = async (id: string, status: string | undefined) => {
      for await (const list of { [Symbol.asyncIterator]: () => ({ next: () => lists.next() }) })
        if (list.find((info) => info.id === id)?.status === status) return;
    };
    expect((await lists.next()).value!.map(({ id }) => id)).toContain(context.box.id);
    const box = await create();
    await becomes(box.id, "running");
    await box.stop();
    await becomes(box.id, "stopped");
    await box.start();
    await becomes(box.id, "running");
    await box.remove({ force: true });
    await becomes(box.id, undefined);
    const reason = new Error("seen enough");
    const pending = failure(lists.next());
    controller.abort(reason);
    expect(await pending).toBe(reason);
  });

  it("leaves a box stopped whose start is given up", async () => {
    await using box = await create();
    await box.exec("echo kept > /root/kept");
    await box.stop();
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const starting = failure(box.start({ signal: controller.signal }));
    controller.abort(reason);
    expect(await starting).toBe(reason);
    await until(async () => (await box.refresh()).status === "stopped");
    await box.start();
    expect((await box.exec(["cat", "/root/kept"])).stdout).toBe("kept\n");
  });

  it("leaves no box behind that was given up while it was made", async () => {
    const before = await ids();
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    // No snapshot fits this memory: a cold boot is not over before the box is seen.
    const creating = failure(create({ name: "given-up", memoryMb: 300, signal: controller.signal }));
    // One that ends at once, for whatever reason, is never seen.
    let hasEnded = false;
    const end = () => {
      hasEnded = true;
    };
    creating.then(end, end);
    await until(async () => hasEnded || (await ids()).length > before.length);
    controller.abort(reason);
    expect(await creating).toBe(reason);
    await until(async () => (await ids()).length === before.length);
    await using again = await create({ name: "given-up" });
    expect(again.name).toBe("given-up");
  });
}

/** Polls until the condition holds. The time limit of the test ends it otherwise. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}
