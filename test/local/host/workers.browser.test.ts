import { BoxRunClient } from "boxrun";
import { createLocalBackend } from "boxrun/local";
import { afterEach, describe, expect, it, vi } from "vitest";

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a runtime without Workers, as edge functions are", () => {
  it("is told that it cannot run machines, and what to use instead", () => {
    vi.stubGlobal("Worker", undefined);
    expect(() => createLocalBackend()).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED", hint: expect.stringContaining("baseUrl") }),
    );
  });
});

describe("machines that a page keeps ready", () => {
  it("become boxes with disks of their own", async () => {
    const warm = [{ image: "tiny", memoryMb: 256 }];
    const client = new BoxRunClient({ backend: "local", local: { state: "warm", warm } });
    await (await client.create("tiny", { memoryMb: 128 })).remove({ force: true });
    const box = await client.create("tiny", { memoryMb: 256 });
    expect(box.info.local).toMatchObject({ boot: "warm", persistent: true });
    await box.exec("echo kept > f; sync");
    await box.stop();
    await box.start();
    expect((await box.exec(["cat", "f"])).stdout).toBe("kept\n");
    await box.remove({ force: true });
    await client.close();
  });
});

describe("a page whose browser refuses a Worker", () => {
  it("gets no box, and keeps nothing of it: not its name, not its lock", async () => {
    const client = new BoxRunClient({ backend: "local", local: { state: "refused" } });
    vi.stubGlobal(
      "Worker",
      class {
        constructor() {
          throw new Error("refused by policy");
        }
      },
    );
    const create = () => client.create("tiny", { name: "late", memoryMb: 256 });
    await expect(create()).rejects.toMatchObject({
      code: "RUNTIME_ERROR",
      message: expect.stringContaining("refused by policy"),
    });
    vi.unstubAllGlobals();
    const box = await create();
    expect((await box.exec(["echo", "here"])).stdout).toBe("here\n");
    await box.remove({ force: true });
    expect(await client.listBoxes()).toEqual([]);
    await client.close();
  });
});
