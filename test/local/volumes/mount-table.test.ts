import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MountTable } from "../../../src/local/volumes/mount-table-node.js";

let folder: string;
let table: MountTable;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-mounts-"));
  mkdirSync(join(folder, "near/deep"), { recursive: true });
  symlinkSync("../far/project", join(folder, "near/link"));
  symlinkSync(join(folder, "near/link"), join(folder, "link-to-link"));
  symlinkSync("loop", join(folder, "loop"));
  const line = (path: string, type: string) => `36 35 98:0 / ${path} rw,noatime shared:1 - ${type} source rw`;
  table = new MountTable(
    [
      line("/", "ext4"),
      line("/proc", "proc"),
      line(`${folder}/far`, "nfs4"),
      line(`${folder}/far/again`, "tmpfs"),
      line(`${folder}/a\\040blank`, "fuse.sshfs"),
      line(`${folder}/twice`, "cifs"),
      line(`${folder}/twice`, "xfs"),
      line(`${folder}/above/below`, "9p"),
      "",
    ].join("\n"),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("a path, by the list of file systems", () => {
  it.each([
    ["near", false],
    ["near/deep/missing", false],
    ["far-not", false],
    ["far", true],
    ["far/project", true],
    ["near/link", true],
    ["link-to-link/..", true],
    ["near/../far/.", true],
    ["far/../near", true],
    ["far/again", true],
    ["a blank/x", true],
    ["twice/x", false],
    ["above", true],
    ["above/beside", false],
    ["loop", false],
  ])("%s may hang, or what is in it: %s", (path, expected) => {
    expect(table.mayHangWithin(`${folder}/${path}`)).toBe(expected);
  });

  it("itself may not hang where only something in it does", () => {
    expect(table.mayHang(`${folder}/above`)).toBe(false);
    expect(table.mayHang(`${folder}/above/below`)).toBe(true);
    expect(table.mayHang("/")).toBe(false);
    expect(table.mayHangWithin("/")).toBe(true);
  });

  it("may hang on a root that is of another machine", () => {
    expect(new MountTable("36 35 98:0 / / rw - virtiofs root rw").mayHang("/home")).toBe(true);
    expect(new MountTable("").mayHang("/home")).toBe(true);
  });
});
