import type { Context } from "./target.js";
import { failure } from "./tools.js";

/** Takes more memory than there is: overcommitted, so that it is not refused but met. */
const HOG = "echo 1 > /proc/sys/vm/overcommit_memory; exec dd if=/dev/zero of=/dev/null bs=400M count=1";

/** Cases for guests that misbehave. Each gets a box of its own, unless the case is about what survives. */
export function troubleCases(context: Context): void {
  const { it, expect } = context;
  const small = (memoryMb = 256) => context.client.create(context.target.image, { memoryMb });

  it("ends a fork bomb by cancel, and the box lives", async () => {
    await using box = await small();
    const bomb = await box.execStream("echo up; b() { b | b & wait; }; b", { detached: true });
    await bomb[Symbol.asyncIterator]().next();
    expect(await bomb.cancel()).toMatchObject({ status: "canceled" });
    expect((await box.exec(["echo", "alive"])).stdout).toBe("alive\n");
  });

  it("ends a spinning command by its timeout, and serves others meanwhile", async () => {
    await using box = await small();
    const spin = failure(box.exec("while :; do :; done", { timeoutMs: 1500 }));
    expect((await box.exec(["echo", "meanwhile"])).stdout).toBe("meanwhile\n");
    expect(await spin).toMatchObject({ code: "TIMEOUT" });
  });

  it("kills a command that fills the memory, and nothing else", async () => {
    await using box = await small();
    const other = await box.execStream("sleep 0.2; echo untouched", { detached: true });
    const why = "killed by signal 9: the box ran out of memory (memoryMb is 256)";
    expect(await box.exec(HOG)).toMatchObject({ exitCode: 137, errorMessage: why, status: "failed" });
    // A shell that ends as its command did.
    const error = await failure(box.exec(`(${HOG}); exit $?`, { check: true }));
    expect(error).toMatchObject({ code: "COMMAND_FAILED", result: { exitCode: 137, errorMessage: why } });
    expect(error.message).toContain(why);
    // Whoever is killed by another's hand had memory.
    expect(await box.exec("kill -9 $$")).toMatchObject({ exitCode: 137, errorMessage: null });
    expect((await other.wait()).exitCode).toBe(0);
    expect((await box.exec(["echo", "alive"])).stdout).toBe("alive\n");
  });

  it("cancels a command that prints without end, read or not", async () => {
    await using box = await small();
    const unread = await box.execStream(["cat", "/dev/zero"], { detached: true });
    const read = await box.execStream(["cat", "/dev/zero"]);
    let bytes = 0;
    for await (const event of read) {
      if (event.type === "log") bytes += event.bytes.byteLength;
      if (bytes > 2 * 2 ** 20) break;
    }
    expect((await read.info()).status).toBe("canceled");
    // More than is kept of it. If truncation is not reported, stop after 20 tries.
    for (let i = 0; i < 20 && !(await unread.info()).truncated; i++) await box.exec("sleep 0.5");
    expect(await unread.cancel()).toMatchObject({ status: "canceled", truncated: true });
  });

  it("ends in status error, with the kernel's last words, when the kernel panics", async () => {
    await using box = await small();
    const pending = failure(box.exec(["sleep", "7061"]));
    await box.exec("echo 2 > /proc/sys/vm/panic_on_oom", { check: true });
    const error = await failure(box.exec(HOG));
    expect(error).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(error.message).toMatch(/panic/i);
    expect(await pending).toMatchObject({ code: "RUNTIME_ERROR" });
    const info = await box.refresh();
    expect(info).toMatchObject({ status: "error", errorCode: "RUNTIME_ERROR" });
    expect(info.errorMessage).toMatch(/panic/i);
    const later = await failure(box.exec(["true"]));
    expect(later).toMatchObject({ code: "BOX_NOT_RUNNING" });
    expect(later.message).toMatch(/panic/i);
    expect(await failure(box.download("/etc/passwd"))).toMatchObject({ code: "BOX_NOT_RUNNING" });
    await box.remove();
  });

  it("ends in status error when the guest resets its machine", async () => {
    await using box = await small();
    expect(await failure(box.exec(["reboot", "-f"]))).toMatchObject({ code: "RUNTIME_ERROR" });
    expect((await box.refresh()).errorMessage).toMatch(/reset|halted/);
  });

  it("clears away a box that has ended in status error", async () => {
    const box = await small();
    await failure(box.exec(["reboot", "-f"]));
    expect(await box.refresh()).toMatchObject({ status: "error" });
    await context.client.gc();
    expect((await box.refresh()).id).toBe(box.id);
    expect(await context.client.gc({ olderThan: 0 })).toBeGreaterThanOrEqual(1);
    expect(await failure(box.refresh())).toMatchObject({ code: "BOX_NOT_FOUND" });
  });

  it("rejects what is pending when the box is removed", async () => {
    const box = await small();
    const pending = failure(box.exec(["sleep", "7062"]));
    const reading = box.execStream(["sleep", "7063"]).then(async (execution) => {
      for await (const event of execution) void event;
    });
    reading.catch(() => {});
    await box.exec(["true"]);
    await box.remove({ force: true });
    expect(await pending).toMatchObject({ code: "BOX_NOT_FOUND" });
    expect(await failure(reading)).toMatchObject({ code: "BOX_NOT_FOUND" });
  });

  it("cancels what runs when the client closes", async () => {
    const client = context.target.createClient();
    const other = await client.create(context.target.image, { memoryMb: 256 });
    const late = failure(other.exec(["sleep", "7064"]));
    await other.exec(["true"]);
    await client.close();
    await client.close();
    expect(await late).toMatchObject({ code: "CANCELED", result: { exitCode: null, status: "canceled" } });
  });

  it("ends a closed client's calls, those that are pending and those to come", async () => {
    const client = context.target.createClient();
    const box = await client.create(context.target.image, { memoryMb: 256 });
    await box.exec(["true"]);
    await client.close();
    await client.close();
    expect(await failure(client.create(context.target.image))).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await failure(box.exec(["true"]))).toMatchObject({ code: "VALIDATION_ERROR" });
    await (await context.client.getBox(box.id)).remove({ force: true });
  });
}
