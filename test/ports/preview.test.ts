import { afterEach, expect, it, onTestFinished, vi } from "vitest";
import { BoxRunClient } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import { httpServer } from "./local-server.js";

afterEach(() => void vi.restoreAllMocks());

/** A box of this process, all of whose ports are that of a local server. */
async function boxHere() {
  const server = await httpServer((request, response) => response.end(`seen ${request.url}`));
  const backend = Object.assign(new FakeBackend(), {
    ports: { list: async () => [], connect: () => server.connect() },
  });
  const client = new BoxRunClient({ backend });
  onTestFinished(() => client.close());
  return { box: await client.create("fake"), server };
}

it("a preview of a box of this process is a port of this machine, until it is closed", async () => {
  const { box, server } = await boxHere();
  const preview = await box.preview(8000);
  expect(preview.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
  const get = () => fetch(preview.url, { headers: { connection: "close" } });
  expect(await (await get()).text()).toBe("seen /");
  await preview[Symbol.asyncDispose]();
  await preview.close();
  await expect(get()).rejects.toThrow("fetch failed");
  await vi.waitFor(() => expect(server.open()).toBe(0));
});

it("a preview is refused before anything listens", async () => {
  const { box } = await boxHere();
  expect(await failure(box.preview(0))).toMatchObject({ code: "VALIDATION_ERROR" });
  expect(await failure(box.preview(80, { host: "::" } as never))).toMatchObject({ code: "VALIDATION_ERROR" });
  const reason = new Error("no longer");
  expect(await failure(box.preview(80, { signal: AbortSignal.abort(reason) }))).toBe(reason);
  await box.stop();
  expect(await failure(box.preview(80))).toMatchObject({ code: "BOX_NOT_RUNNING" });
});

it("a preview is unsupported where nothing can listen, as in pages", async () => {
  const { box } = await boxHere();
  vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined as never);
  expect(await failure(box.preview(8000))).toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringContaining("box.fetch"),
  });
});
