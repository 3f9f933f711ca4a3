import { describe, expect, it, vi } from "vitest";
import type { Backend } from "../../src/backend.js";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

/** A box whose shell prints this, whatever it is asked, and whose backend does nothing with files by itself. */
async function boxThatPrints(output: string, exitCode = 0) {
  const sh = ({ write }: { write(data: string): void }) => {
    write(output);
    return exitCode;
  };
  const backend: Backend = new FakeBackend({ programs: { sh } });
  const capabilities = { ...backend.capabilities, files: "scripts do it" };
  return new BoxRunClient({ backend: Object.assign(backend, { capabilities }) }).create("fake");
}

describe("the files of a box that lies", () => {
  it.each([
    "",
    "nonsense",
    "/",
    "/zz 1 2 3 4 .",
    "/81a4 x 2 3 4 .",
    "/81a4 1 2",
    `/${"9".repeat(400)} 1 2 3 4 .`,
  ])("are a PROTOCOL_ERROR: %j", async (output) => {
    const box = await boxThatPrints(output);
    expect(await failure(box.files.stat("/x"))).toMatchObject({ code: "PROTOCOL_ERROR" });
  });

  it("are told in its own words where it gives no reason that is known", async () => {
    const box = await boxThatPrints("", 9);
    const error = await failure(box.files.list("/x"));
    expect(error).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(error.message).toBe("list /x: exit code 9");
  });

  it("refuse what is no path before anything runs", async () => {
    const box = await boxThatPrints("");
    for (const path of ["x", "", "/a\0", 5, null]) {
      const error = await failure(box.files.stat(path as string));
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    }
    expect(await box.executions()).toEqual([]);
  });
});

describe("an archive, over a server without stdin", () => {
  /** A box whose shell does this. */
  async function boxWithout(sh: () => number | Promise<number>) {
    const backend: Backend = new FakeBackend({ programs: { sh } });
    const capabilities = { ...backend.capabilities, stdin: "none" };
    return new BoxRunClient({ backend: Object.assign(backend, { capabilities }) }).create("fake");
  }
  const archive = new Blob([new Uint8Array(1024)]);

  it("is not left in the box when it cannot be unpacked", async () => {
    const box = await boxWithout(() => 2);
    expect(await failure(box.files.unpack(archive, "/x"))).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(await box.files.list("/tmp")).toEqual([]);
  });

  it("is not left in the box when its signal aborts", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const box = await boxWithout(() => {
      controller.abort(reason);
      return new Promise<number>(() => {});
    });
    expect(await failure(box.files.unpack(archive, "/x", { signal: controller.signal }))).toBe(reason);
    await vi.waitFor(async () => expect(await box.files.list("/tmp")).toEqual([]));
  });
});
