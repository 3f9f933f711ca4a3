import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openHostDirectory } from "../../../src/local/volumes/host-directory-node.js";
import { T } from "../../../src/local/volumes/nine-p-wire.js";
import { ServedVolumes } from "../../../src/local/volumes/served-volumes.js";
import { NinePClient } from "./nine-p-client.js";

const [O_RDWR, O_TRUNC] = [2, 0o1000];
const u32 = (value: number) => ({ u32: value });

let folder: string;
let server: ServedVolumes;
let guest: NinePClient;
let root: number;
let seen: string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-foreign-"));
  server = new ServedVolumes([openHostDirectory({ hostPath: folder, readonly: false })]);
  guest = new NinePClient(server);
  root = await guest.walk(await guest.attach(), "0");
  seen = [];
});
afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const at = (path: string) => join(folder, path);

/** Resolves once a path is told of. Meanwhile something changes again and again: directories are found one after the other. */
async function until(path: string, change: () => void = () => {}): Promise<void> {
  const changing = setInterval(change, 20);
  change();
  while (!seen.includes(path)) {
    const answer = await server.call({ call: "foreign" });
    seen.push(...("paths" in answer ? answer.paths : []));
  }
  clearInterval(changing);
}

const sentinel = (path: string) => until(`/0/${path}`, () => appendFileSync(at(path), "x"));

// Nothing else tells of changes by the descriptor of a directory.
describe.skipIf(process.platform !== "linux")("what others than the guest change in a directory", () => {
  it("is told of by path, and what is gone by its directory", async () => {
    mkdirSync(at("dir/deep"), { recursive: true });
    writeFileSync(at("dir/gone"), "");
    await sentinel("dir/deep/first");
    unlinkSync(at("dir/gone"));
    await until("/0/dir");
    renameSync(at("dir/deep"), at("moved"));
    await until("/0/moved");
    await sentinel("moved/new");
    expect(seen.filter((path) => path.includes("gone"))).toEqual([]);
  });

  it("leaves out what the guest changes itself", async () => {
    await sentinel("first");
    const file = await guest.walk(root);
    await guest.create(file, "file");
    await guest.write(file, "text");
    await guest.open(await guest.walk(root, "file"), O_RDWR | O_TRUNC);
    const none = [{ u64: 0 }, { u64: 0 }, { u64: 0 }, { u64: 0 }, { u64: 0 }];
    await guest.call(T.SETATTR, u32(file), u32(1), u32(0o600), u32(0), u32(0), ...none);
    await guest.call(T.LINK, u32(root), u32(file), "linked");
    await guest.call(T.SYMLINK, u32(root), "link", "file", u32(0));
    await guest.call(T.MKDIR, u32(root), "dir", u32(0o755), u32(0));
    const dir = await guest.walk(root, "dir");
    await guest.create(await guest.walk(dir), "inner");
    await guest.call(T.RENAMEAT, u32(root), "file", u32(dir), "moved");
    await guest.call(T.UNLINKAT, u32(dir), "inner", u32(0));
    await guest.call(T.UNLINKAT, u32(root), "link", u32(0));
    await sentinel("last");
    await guest.call(T.UNLINKAT, u32(dir), "moved", u32(0));
    await guest.call(T.UNLINKAT, u32(root), "dir", u32(0x200));
    await sentinel("at last");
    expect(new Set(seen)).toEqual(new Set(["/0/first", "/0/last", "/0/at last"]));
    expect(readdirSync(folder).sort()).toEqual(["at last", "first", "last", "linked"]);
  });

  it("tells of the host's change after the guest's", async () => {
    await sentinel("first");
    const file = await guest.walk(root);
    await guest.create(file, "file");
    await guest.write(file, "text");
    await sentinel("last");
    appendFileSync(at("file"), "more");
    await until("/0/file");
    await guest.call(T.UNLINKAT, u32(root), "file", u32(0));
    await sentinel("later");
    expect(seen).not.toContain("/0");
  });

  it("tells of what the program writes by box.files, in its place", async () => {
    await sentinel("first");
    const answer = await server.call({ call: "create", path: "/0/file", newMode: 0o644 });
    const { handle } = "opened" in answer ? answer.opened : expect.fail();
    await server.call({ call: "commit", handle });
    await server.call({ call: "close", handle });
    await until("/0/file");
    expect(seen.filter((path) => path !== "/0/first" && path !== "/0/file")).toEqual([]);
  });
});
