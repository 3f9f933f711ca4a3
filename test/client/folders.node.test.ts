import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { createLocalBackend } from "boxrun/local";
import { createHandler } from "boxrun/server";
import { afterAll, describe, expect, it } from "vitest";

/** Number of small files, a multiple of ten. */
const FILES = 200;

const top = mkdtempSync(join(tmpdir(), "boxrun-folders-"));
const backend = createLocalBackend({ state: join(top, "state") });
afterAll(async () => {
  await backend.close();
  rmSync(top, { recursive: true, force: true });
});
const served = (options: object) => ({
  backend: "remote" as const,
  baseUrl: "http://boxrun.internal",
  fetch: createHandler(backend, options),
});

describe.each([
  ["a local box", { backend }],
  ["a box of our server", served({})],
  ["a box of a server of the published API alone", served({ extensions: false, maxUploadBytes: 2_000_000 })],
])("directories of %s", (name, options) => {
  const client = new BoxRunClient(options);
  const created = client.create("tiny", { memoryMb: 256 });
  const from = join(top, name, "from");
  const to = join(top, name, "to");
  mkdirSync(join(from, "empty"), { recursive: true });

  it("go there and back, with hundreds of files", async () => {
    const box = await created;
    for (let i = 0; i < FILES; i++) {
      const folder = join(from, `folder ${i % 10}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `file-${i}`), `contents of ${i}`);
    }
    const long = `${"größe".repeat(20)}/${"n".repeat(150)}`;
    mkdirSync(join(from, "größe".repeat(20)));
    writeFileSync(join(from, long), "deep");
    writeFileSync(join(from, "run"), "#!/bin/sh\necho ran", { mode: 0o750 });
    writeFileSync(join(from, "big"), Buffer.alloc(3_000_000, 7));
    symlinkSync("run", join(from, "link"));
    await box.exec("mkdir -p /srv/dir && echo mine > /srv/dir/mine");

    await box.upload(from, "/srv/dir/");
    const { stdout } = await box.exec(
      `cd /srv/dir; ./link; cat mine; cat "folder 7/file-${FILES - 3}"; find . -type f | wc -l; stat -c "%a %U" run; ls empty`,
    );
    expect(stdout).toBe(`ran\nmine\ncontents of ${FILES - 3}${FILES + 4}\n750 root\n`);

    await box.download("/srv/dir", to);
    expect(readdirSync(to).sort()).toEqual([...readdirSync(from), "mine"].sort());
    expect(readFileSync(join(to, `folder 3/file-${FILES - 7}`), "utf8")).toBe(`contents of ${FILES - 7}`);
    expect(readFileSync(join(to, long), "utf8")).toBe("deep");
    expect(readFileSync(join(to, "big")).equals(readFileSync(join(from, "big")))).toBe(true);
    expect(readlinkSync(join(to, "link"))).toBe("run");
    expect(statSync(join(to, "run")).mode & 0o700).toBe(0o700);
    // What is there already is no obstacle.
    await box.download("/srv/dir/", to);
    await box.upload(to, "/srv/dir");
  });

  it("may be empty", async () => {
    const box = await created;
    await box.upload(join(from, "empty"), "/srv/empty");
    expect(await box.files.list("/srv/empty")).toEqual([]);
    await box.download("/srv/empty", join(to, "new/empty"));
    expect(readdirSync(join(to, "new/empty"))).toEqual([]);
  });

  it("do not go where a file is, and need a local path", async () => {
    const box = await created;
    await expect(box.upload(from, "/etc/passwd")).rejects.toMatchObject({ code: "RUNTIME_ERROR" });
    await expect(box.download("/etc")).rejects.toMatchObject({ code: "RUNTIME_ERROR" });
    await expect(box.download("/none", join(to, "none"))).rejects.toMatchObject({ code: "RUNTIME_ERROR" });
    await expect(box.upload(from, "relative")).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });
});
