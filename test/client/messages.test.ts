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

it("says what kind of value stands in place of a name, a path or contents", async () => {
  const box = await client.create("tiny");
  const wrong = async (call: () => Promise<unknown>) => (await failure(call())).message;
  expect(await wrong(() => client.getBox(5 as never))).toBe("a box id or name must be a string, got 5");
  expect(await wrong(() => client.getBox({} as never))).toBe("a box id or name must be a string, got object");
  expect(await wrong(() => box.files.write(5 as never, "x"))).toBe(
    "path must be a string or bytes, got number",
  );
  const contents = "an upload or stdin must be a string, bytes, a Blob or a ReadableStream, got";
  expect(await wrong(() => box.files.write("/a", 5 as never))).toBe(`${contents} 5`);
  expect(await wrong(() => box.files.write("/a", null as never))).toBe(`${contents} null`);
  expect(await wrong(() => box.exec(["cat"], { stdin: ["x"] as never }))).toBe(`${contents} array`);
  expect(await box.executions()).toEqual([]);
});

it("says that a fake box has no shell for copies and archives", async () => {
  const box = await client.create("tiny");
  await box.files.write("/a", "x");
  for (const call of [
    () => box.files.copy("/a", "/b"),
    async () => new Response(await box.files.pack("/a")).blob(),
    () => box.files.remove("/a", { recursive: true }),
  ])
    expect((await failure(call())).message).toMatch(
      / \/a: .*FakeBackend has no shell for copies, archives and/,
    );
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
