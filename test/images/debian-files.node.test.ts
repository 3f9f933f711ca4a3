import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { createLocalBackend } from "boxrun/local";
import { createHandler } from "boxrun/server";
import * as vitest from "vitest";
import { kindCases } from "../../src/testing/contract/kind-cases.js";
import { casesOf } from "../../src/testing/contract/runner.js";
import type { Context } from "../../src/testing/contract/target.js";
import { failure } from "../../src/testing/contract/tools.js";

const { afterAll, beforeAll, describe, expect } = vitest;
const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
const backend = createLocalBackend({ state });
/** A server that has the published API, and nothing more: there scripts do all of it. */
const fetch = createHandler(backend, { extensions: false, maxUploadBytes: 2_000_000 });
afterAll(async () => {
  await backend.close();
  rmSync(state, { recursive: true });
});

// The contract is run with BusyBox; GNU's programs say and do some things otherwise.
describe.each([
  ["local", () => new BoxRunClient({ backend })],
  ["a plain server", () => new BoxRunClient({ backend: "remote", baseUrl: "http://boxrun.internal", fetch })],
])("kinds of files in debian: %s", (name, createClient) => {
  const { cases } = casesOf(vitest, {});
  const context = {
    it: cases,
    expect,
    target: { name, image: "debian", createClient, cannot: {} },
  } as unknown as Context;
  beforeAll(async () => {
    context.client = createClient();
    context.box = await context.client.create("debian", { memoryMb: 256 });
  });
  afterAll(() => context.box.remove({ force: true }));

  kindCases(context);

  vitest.it("refuses a socket as a file, and leaves it out of an archive", async () => {
    const { box } = context;
    await box.files.mkdir("/srv/socket");
    const make = "import socket; socket.socket(socket.AF_UNIX).bind('/srv/socket/socket')";
    await box.exec(["python3", "-c", make], { check: true });
    await box.files.write("/srv/socket/file", "x");
    const refused = [
      box.files.write("/srv/socket/socket", "x"),
      box.files.read("/srv/socket/socket"),
      box.files.copy("/srv/socket/socket", "/srv/copy"),
    ];
    for (const call of refused.map(failure)) expect(await call).toMatchObject({ code: "RUNTIME_ERROR" });
    const archive = await new Response(await box.files.pack("/srv/socket")).blob();
    await box.files.unpack(archive, "/srv/unpacked");
    expect((await box.files.list("/srv/unpacked")).map(({ name }) => name)).toEqual(["file"]);
  });
});
