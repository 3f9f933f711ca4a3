import { describe, expect, it, vi } from "vitest";
import type { Backend } from "../../src/backend/backend.js";
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

/** A box whose shell writes this to stderr, whatever it is asked. */
async function boxThatComplains(words: string, exitCode: number) {
  const sh = ({ write }: { write(data: string, stream: "stderr"): void }) => {
    write(words, "stderr");
    return exitCode;
  };
  return new BoxRunClient({ backend: new FakeBackend({ programs: { sh } }) }).create("fake");
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

  it.each([
    [
      "a notice before it",
      "tar: Removing leading `/' from member names\ntar: x: Cannot open: Is a directory\n",
    ],
    [
      "a clock that is behind",
      "tar: x: time stamp 2031-01-01 00:00:00 is 9 s in the future\ntar: x: Cannot open: Is a directory\n",
    ],
    ["nothing else", "tar: x: Cannot open: Is a directory\n"],
  ])("say why an archive could not be unpacked, with %s", async (_what, words) => {
    const box = await boxThatComplains(words, 2);
    const error = await failure(box.files.unpack(new Uint8Array(1024), "/x"));
    expect(error).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(error.message).toBe("unpack /x: tar: x: Cannot open: Is a directory");
  });

  it("take no notice for a success", async () => {
    const box = await boxThatComplains("tar: removing leading '/' from member names\n", 1);
    const error = await failure(box.files.unpack(new Uint8Array(1024), "/x"));
    expect(error.message).toBe("unpack /x: exit code 1");
  });

  it.each([
    "cp: error writing '/y/f': No space left on device\ncp: and more\n",
    "cp: write error: Quota exceeded\n",
    "cp: error writing '/y/f': Disk quota exceeded\n",
  ])("are STORAGE_FULL where a program has no room: %j", async (words) => {
    const box = await boxThatComplains(words, 1);
    expect(await failure(box.files.copy("/x", "/y"))).toMatchObject({ code: "STORAGE_FULL" });
  });

  it("have room where only a name speaks of none", async () => {
    const box = await boxThatComplains("cp: '/No space left on device': Permission denied\n", 1);
    expect(await failure(box.files.copy("/x", "/y"))).toMatchObject({ code: "RUNTIME_ERROR" });
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
