import { describe, expect, it } from "vitest";
import { createHandler } from "../../src/server/handler.js";
import type { HandlerOptions } from "../../src/server/options.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import { ScriptedBackend } from "./scripted-backend.js";

const BASE = "http://127.0.0.1:9090";
const SPEC = { image: "fake", cpu: 1, memoryMb: 256, diskSizeGb: 8, network: false, workdir: "/root" };
const NO_UTF8 = btoa("/srv/\xff");

/** A box with a file, and a server over it. */
async function serve(options: HandlerOptions = {}) {
  const backend = new FakeBackend();
  const { id } = await backend.createBox({ ...SPEC, name: "demo", env: null, volumes: null });
  await backend.upload(id, "/srv/file", new Blob(["12345"]).stream(), { mode: 0o640 });
  const handler = createHandler(backend, options);
  const ask = async (what: string, body?: object, method = "POST") => {
    const response = await handler(`${BASE}/v1/boxes/demo/files/${what}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    return { status: response.status, json: JSON.parse(await response.text()) };
  };
  return { backend, handler, id, ask };
}

describe("a download over HTTP", () => {
  it.each([
    [true, "640"],
    [false, null],
  ])("tells the mode of the file, with extensions %j", async (extensions, mode) => {
    const { handler } = await serve({ extensions });
    const response = await handler(`${BASE}/v1/boxes/demo/files/download`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ path: "/srv/file" }),
    });
    expect(response.headers.get("boxrun-mode")).toBe(mode);
    expect(await response.text()).toBe("12345");
  });
});

describe("operations on files over HTTP", () => {
  it("tell what a file is", async () => {
    const { ask } = await serve();
    const { status, json } = await ask("stat", { path: "/srv/file" });
    expect(status).toBe(200);
    expect(json).toEqual({
      type: "file",
      size: 5,
      mode: 0o640,
      modified_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/),
      uid: 0,
      gid: 0,
    });
    expect((await ask("stat", { path: "/srv", follow_links: null })).json).toMatchObject({
      type: "directory",
    });
  });

  it("refuse a path that is half a character, as no file's", async () => {
    const { ask } = await serve();
    for (const what of ["stat", "list", "mkdir", "remove", "download"]) {
      const { status, json } = await ask(what, { path: "/srv/\ud800" });
      expect([what, status, json.code]).toEqual([what, what === "download" ? 400 : 422, "VALIDATION_ERROR"]);
    }
  });

  it("make, list, rename and remove, and name what is no UTF-8 in base64", async () => {
    const { ask } = await serve();
    const ok = { status: 200, json: { ok: true } };
    expect(await ask("mkdir", { path: "/srv/a/b", recursive: true, mode: 0o700 })).toEqual(ok);
    expect(await ask("mkdir", { path: "/srv/new" })).toEqual(ok);
    expect((await ask("stat", { path: "/srv/new" })).json).toMatchObject({ mode: 0o755 });
    expect(await ask("rename", { path: "/srv/file", to_b64: NO_UTF8, to: "shown, not read" })).toEqual(ok);
    const { json } = await ask("list", { path: "/srv" });
    expect(json.map(({ name, name_b64 }: Record<string, string>) => [name, name_b64])).toEqual(
      expect.arrayContaining([
        ["\ufffd", btoa("\xff")],
        ["a", undefined],
        ["new", undefined],
      ]),
    );
    expect((await ask("stat", { path_b64: NO_UTF8 })).json).toMatchObject({ size: 5 });
    expect(await ask("remove", { path_b64: NO_UTF8 })).toEqual(ok);
    expect((await ask("list", { path: "/srv/a/b" })).json).toEqual([]);
  });

  it("name the errno that a box refuses with", async () => {
    const { ask } = await serve();
    expect(await ask("stat", { path: "/none" })).toEqual({
      status: 400,
      json: {
        code: "RUNTIME_ERROR",
        message: "stat /none: no such file or directory",
        errno: "ENOENT",
      },
    });
    expect((await ask("mkdir", { path: "/srv/file/x" })).json).toMatchObject({ errno: "ENOTDIR" });
    expect((await ask("download", { path: "/none" })).json).toMatchObject({ errno: "ENOENT" });
  });

  it.each<[string, object, RegExp]>([
    ["stat", {}, /^path must be an absolute path/],
    ["stat", { path: "relative" }, /^path must be/],
    ["stat", { path: "/a\0b" }, /^path must not contain a null/],
    ["stat", { path: 5 }, /^path must be a string, got number/],
    ["stat", { path_b64: "no base64!" }, /^path must be/],
    ["stat", { path: "/a", path_b64: btoa("a") }, /^path must be/],
    ["stat", { path: "/a", follow_links: 1 }, /^follow_links/],
    ["mkdir", { path: "/a", mode: 0o10000 }, /^mode/],
    ["mkdir", { path: "/a", mode: "755" }, /^mode/],
    ["mkdir", { path: "/a", recursive: "yes" }, /^recursive/],
    ["rename", { path: "/a" }, /^to must be an absolute path/],
    ["rename", { path: "/a", to: "b" }, /^to must be/],
    ["remove", { path: "" }, /^path must be/],
  ])("refuse a body that is wrong: %s %j", async (what, body, message) => {
    const { ask } = await serve();
    const { status, json } = await ask(what, body);
    expect({ status, code: json.code }).toEqual({ status: 422, code: "VALIDATION_ERROR" });
    expect(json.message).toMatch(message);
  });

  it("are named in the server's info, and are not there without extensions, nor is errno", async () => {
    const { handler } = await serve();
    const info = async () => JSON.parse(await (await handler(`${BASE}/v1/info`)).text());
    expect((await info()).capabilities).toContain("files");
    const plain = await serve({ extensions: false });
    for (const what of ["stat", "list", "mkdir", "rename", "remove"])
      expect((await plain.ask(what, { path: "/" })).status).toBe(404);
    expect((await plain.ask("download", { path: "/none" })).json).toEqual({
      code: "RUNTIME_ERROR",
      message: "download of /none: no such file or directory",
    });
  });

  it("are 501 where the backend has none, which its info does not name then", async () => {
    const handler = createHandler(new ScriptedBackend());
    const asked = { method: "POST", body: "{}", headers: { "content-type": "application/json" } };
    await handler(`${BASE}/v1/boxes`, { ...asked, body: JSON.stringify({ image: "x", name: "demo" }) });
    const response = await handler(`${BASE}/v1/boxes/demo/files/list`, {
      ...asked,
      body: JSON.stringify({ path: "/" }),
    });
    expect({ status: response.status, json: await response.json() }).toMatchObject({
      status: 501,
      json: { code: "UNSUPPORTED" },
    });
    const info = JSON.parse(await (await handler(`${BASE}/v1/info`)).text());
    expect(info.capabilities).not.toContain("files");
  });

  it("refuse a directory that holds more than an answer may", async () => {
    const { backend, ask } = await serve();
    const entry = { type: "file", size: 0, mode: 0, modifiedAt: new Date(0), uid: 0, gid: 0 } as const;
    const name = new Uint8Array(255).fill(97);
    backend.fileOperation = async () => Array.from({ length: 200_000 }, () => ({ ...entry, name }));
    expect(await ask("list", { path: "/srv" })).toMatchObject({
      status: 400,
      json: { code: "RUNTIME_ERROR", message: expect.stringMatching(/too many entries/) },
    });
  });
});
