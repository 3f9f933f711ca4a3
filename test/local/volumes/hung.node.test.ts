import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openHostDirectory } from "../../../src/local/volumes/host-directory-node.js";
import { openApart } from "../../../src/local/volumes/open-directory-node.js";
import { ServedVolumes } from "../../../src/local/volumes/served-volumes.js";
import { underFuse, whyNoFuse } from "../../fuse.js";
import { ROOT } from "../../root.js";
import { NinePClient, Refused } from "./nine-p-client.js";

const EIO = new Refused(5);
const CALL_MS = 500;
/** Time that the server of the volumes itself gives a request. */
const SERVER_MS = 30_000;
const PROGRAM = join(ROOT, "dist/node/file-process.js");

let folder: string;
let hanging: string;
let near: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-hung-"));
  [hanging, near] = [join(folder, "hanging"), join(folder, "near")];
  for (const path of [hanging, near]) mkdirSync(path);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Starts the process beside a file system that hangs. */
const besideFuse = () =>
  spawn(...underFuse(hanging, [process.execPath, PROGRAM]), { stdio: ["pipe", "pipe", "inherit"] });

const whySkipped = whyNoFuse();
describe.skipIf(whySkipped)(
  `a volume whose file system hangs${whySkipped ? ` (skipped: ${whySkipped})` : ""}`,
  () => {
    it("is EIO in time and from then on, and the others live", async () => {
      const far = await openApart(
        { hostPath: hanging, readonly: false },
        { start: besideFuse, callMs: CALL_MS },
      );
      const server = new ServedVolumes([far, openHostDirectory({ hostPath: near, readonly: false })]);
      const client = new NinePClient(server);
      const mount = await client.attach();
      const [volume, other] = [await client.walk(mount, "0"), await client.walk(mount, "1")];
      const file = await client.walk(volume, "hello");
      await client.open(file);
      expect(await client.read(file)).toBe("hello\n");

      const begun = performance.now();
      let isOver = false;
      const waiting = Promise.allSettled([
        client.walk(volume, "stuck"),
        client.read(file),
        server.call({ call: "list", path: "/0" }),
      ]).finally(() => (isOver = true));
      const made = await client.walk(other);
      await client.create(made, "new");
      await client.write(made, "lives");
      expect(readFileSync(join(near, "new"), "utf8")).toBe("lives");
      expect(isOver).toBe(false);

      expect(await waiting).toEqual([
        { status: "rejected", reason: EIO },
        { status: "rejected", reason: EIO },
        { status: "fulfilled", value: { errno: 5 } },
      ]);
      expect(performance.now() - begun).toBeLessThan(SERVER_MS);
      await expect(client.walk(volume, "hello")).rejects.toEqual(EIO);
      expect(await client.read(made)).toBe("lives");
      server.close();
    });

    it("is refused when it does not answer at the start", async () => {
      const directory = { hostPath: join(hanging, "stuck"), readonly: false };
      await expect(openApart(directory, { start: besideFuse, openMs: 2000 })).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
        message: expect.stringContaining(`hanging/stuck" did not answer within 2 s`),
      });
    });
  },
);

describe("a volume by a process of its own", () => {
  const start = () => spawn(process.execPath, [PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });

  it("does what one without does", async () => {
    writeFileSync(join(near, "old"), "old");
    const server = new ServedVolumes([await openApart({ hostPath: near, readonly: false }, { start })]);
    const client = new NinePClient(server);
    const root = await client.walk(await client.attach(), "0");
    const file = await client.walk(root);
    await client.create(file, "new", 2);
    const long = "0123456789".repeat(40_000);
    expect(await client.write(file, long)).toBe(long.length);
    expect(await client.read(file, 10, 400_000)).toBe(long.slice(10));
    expect((await client.stat(file)).size).toBe(long.length);
    expect(await client.read(await opened(client, root, "old"))).toBe("old");
    await expect(client.walk(root, "missing")).rejects.toEqual(new Refused(2));
    const names = await server.call({ call: "list", path: "/0" });
    expect(names).toMatchObject({ entries: [{ name: "new" }, { name: "old" }] });
    expect(await server.call({ call: "mkdir", path: "/0/a/b", mode: 0o755, recursive: true })).toEqual({
      entries: [],
    });
    expect(await server.call({ call: "rename", path: "/0/old", to: "/0/a/b/moved" })).toEqual({
      entries: [],
    });
    expect(readFileSync(join(near, "a/b/moved"), "utf8")).toBe("old");
    server.close();
  });

  it("is refused for the reasons of one without", async () => {
    const refused = (hostPath: string, within?: string[]) =>
      expect(openApart({ hostPath, readonly: false, ...(within && { within }) }, { start })).rejects;
    await refused(join(near, "missing")).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining("does not exist"),
    });
    await refused(near, [hanging]).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining("in none of the directories"),
    });
  });

  it("says so when the process cannot be run, or ends", async () => {
    for (const command of ["/no/such/program", "/bin/false"]) {
      const failing = openApart({ hostPath: near, readonly: false }, { start: () => spawn(command) });
      await expect(failing).rejects.toMatchObject({
        code: "RUNTIME_ERROR",
        message: expect.stringContaining("the process that opens"),
      });
    }
  });

  it("removes what a transfer has not finished, and leaves no process", async () => {
    const child = start();
    const server = new ServedVolumes([
      await openApart({ hostPath: near, readonly: false }, { start: () => child }),
    ]);
    await server.call({ call: "create", path: "/0/new", newMode: 0o644 });
    server.close();
    await new Promise((resolve) => child.once("exit", resolve));
    expect(readdirSync(near)).toEqual([]);
  });
});

async function opened(client: NinePClient, from: number, name: string): Promise<number> {
  const fid = await client.walk(from, name);
  await client.open(fid);
  return fid;
}
