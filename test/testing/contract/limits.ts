import type { BoxHandle, BoxRunClient } from "boxrun";
import { afterEach, describe, expect, it } from "vitest";
import { failure } from "../../../src/testing/contract/tools.js";

/** How often a timer of the caller's thread goes off while guests are at their worst: next to never, where they hold it up. */
const TIMER_MS = 20;
const LEAST_TICKS = 20;

/** Takes most of what a box of 256 MB has. */
const HOG = "dd if=/dev/zero of=/dev/null bs=150M count=1";

/** What local boxes may take of the machine that runs them, whatever happens in them; the same in Node and in a page. */
export function limitCases(newClient: (local?: object) => BoxRunClient): void {
  const clients: BoxRunClient[] = [];
  const open = (local?: object) => {
    const client = newClient(local);
    clients.push(client);
    return client;
  };
  const create = (memoryMb = 256) => open().create("tiny", { memoryMb });
  afterEach(async () => {
    for (const client of clients.splice(0)) {
      for (const { id } of await client.listBoxes()) await (await client.getBox(id)).remove({ force: true });
      await client.close();
    }
  });

  /** Runs `work`, and expects the thread it is called from to be free meanwhile. */
  async function freely<T>(work: () => Promise<T>): Promise<T> {
    let ticks = 0;
    const timer = setInterval(() => ticks++, TIMER_MS);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      expect(ticks).toBeGreaterThan(LEAST_TICKS);
    }
  }

  const expectAlive = async (box: BoxHandle) =>
    expect((await box.exec("echo alive > /root/alive; cat /root/alive")).stdout).toBe("alive\n");

  describe("a box whose commands misbehave", () => {
    it.each([
      ["several at once", `for i in 1 2; do ${HOG} & done; wait; exit 9`, 9],
      ["a file in memory", "dd if=/dev/zero of=/dev/shm/f bs=1M 2> /dev/null; rm /dev/shm/f; exit 9", 9],
    ])("kills what fills its memory, and nothing else: %s", async (_, command, exitCode) => {
      const box = await create();
      const other = await box.execStream("for i in 1 2 3 4 5 6; do sleep 0.3; echo $i; done");
      const ended = await freely(async () => {
        const [result] = await Promise.all([box.exec(command), other.wait()]);
        return result;
      });
      expect(ended.exitCode).toBe(exitCode);
      expect(await other.wait()).toMatchObject({ exitCode: 0 });
      await expectAlive(box);
    });

    it("ends commands that spin, fork in a loop and flood their output, all at once, from outside", async () => {
      const box = await create();
      const bad = await Promise.all(
        ["while :; do :; done", "b() { b | b & wait; }; b", "yes", "trap '' TERM; yes >&2 & yes"].map(
          (command) => box.execStream(command, { detached: true }),
        ),
      );
      await freely(() => box.exec("sleep 2"));
      const ends = await Promise.all(bad.map((execution) => execution.cancel()));
      expect(ends.map(({ status }) => status)).toEqual(bad.map(() => "canceled"));
      expect((await box.exec("pgrep -x yes")).exitCode).toBe(1);
      await expectAlive(box);
    });

    it("runs 100 commands at once, each with its own outputs and code", async () => {
      const box = await create();
      const runs = Array.from({ length: 100 }, (_, i) =>
        box.exec(`read x; echo out $x; echo err ${i} >&2; exit ${i}`, { stdin: `${i}\n` }),
      );
      const results = await freely(() => Promise.all(runs));
      expect(results.map(({ stdout, stderr, exitCode }) => [stdout, stderr, exitCode])).toEqual(
        runs.map((_, i) => [`out ${i}\n`, `err ${i}\n`, i]),
      );
    });
  });

  describe("what a box remembers of its commands", () => {
    it("is 64 MB of output: of the oldest it keeps the beginning alone, of others all", async () => {
      const box = await create();
      const command = "dd if=/dev/zero bs=65536 count=240 2> /dev/null";
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) {
        const execution = await box.execStream(command);
        ids.push(execution.id);
        await execution.wait();
      }
      // The next one makes room.
      await box.exec(["true"]);
      const sizeOf = async (id: string) =>
        (await new Response((await box.execution(id)).output()).arrayBuffer()).byteLength;
      expect(await sizeOf(ids[4]!)).toBe(240 * 65_536);
      expect(await sizeOf(ids[0]!)).toBe(65_536);
      expect(await box.executions()).toHaveLength(6);
    });
  });

  describe("boxes that run together", () => {
    it("have a limit of memory; who does not fit is told what is free and who has the rest", async () => {
      const client = open({ maxTotalMemoryMb: 600 });
      const one = await client.create("tiny", { name: "one", memoryMb: 256 });
      await client.create("tiny", { name: "two", memoryMb: 256 });
      expect(await client.info()).toMatchObject({ maxMemoryMb: 600 });
      const error = await failure(client.create("tiny", { name: "three", memoryMb: 256 }));
      expect(error).toMatchObject({ code: "RESOURCE_EXCEEDED", retryable: true });
      expect(error.message).toMatch(
        /256 MB, 88 of 600 MB available; one uses 256, two uses 256 .*local\.maxTotalMemoryMb/,
      );
      await one.stop();
      await client.create("tiny", { name: "three", memoryMb: 256 });
      expect(await failure(one.start())).toMatchObject({ code: "RESOURCE_EXCEEDED" });
      const seen = (await client.listBoxes()).map(({ name, status }) => `${name} ${status}`);
      expect(seen).toEqual(["three running", "two running", "one stopped"]);
      await (await client.getBox("two")).remove({ force: true });
      await one.start();
      expect((await one.exec(["echo", "fits"])).stdout).toBe("fits\n");
    });

    it.each([0, -1, 1.5])("do not have a limit of %j", (memoryMb) => {
      expect(() => newClient({ memoryMb })).toThrow(
        expect.objectContaining({ code: "VALIDATION_ERROR", message: expect.stringContaining("memoryMb") }),
      );
    });
  });
}
