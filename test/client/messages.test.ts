import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing.js";

const client = new BoxRunClient({ backend: new FakeBackend() });

it("says what is wrong with options that are none", () => {
  const make = () => new BoxRunClient("http://127.0.0.1:9090" as never);
  expect(make).toThrow(/options must be an object/);
});

it("says what is wrong with a variable's name", async () => {
  const error = await failure(client.create("tiny", { env: { "A=B": "x" } }));
  expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
  expect(error.message).toMatch(/^env\.A=B must be a .* without '='$/);
});

it("makes the folders of a download's path", async () => {
  const folder = mkdtempSync(join(tmpdir(), "boxrun-download-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const box = await client.create("tiny");
  await box.upload(new Blob(["x"]), "/root/x");
  await box.download("/root/x", join(folder, "deep/er/x"));
  expect(readFileSync(join(folder, "deep/er/x"), "utf8")).toBe("x");
});

it("says that a string is a path, and that a download is taken once", async () => {
  const box = await client.create("tiny");
  const error = await failure(box.upload("print(42)", "/root/main.py"));
  expect(error.message).toMatch(/files\.write/);
  await box.upload(new Blob(["x"]), "/root/x");
  const download = await box.download("/root/x");
  expect(await download.text()).toBe("x");
  expect(await failure(download.text())).toMatchObject({ code: "VALIDATION_ERROR" });
  const streamed = await box.download("/root/x");
  await streamed.stream().pipeTo(new WritableStream());
  expect(await failure(streamed.bytes())).toMatchObject({ code: "VALIDATION_ERROR" });
});

it("says which program a fake backend has not", async () => {
  const box = await client.create("tiny");
  expect(await box.exec(["ls"])).toMatchObject({
    exitCode: 127,
    stderr: expect.stringContaining("FakeBackend has no program ls: add it to programs"),
  });
});
