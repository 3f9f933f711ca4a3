import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FileNode } from "../../../src/local/volumes/files-node.js";
import { MountTable } from "../../../src/local/volumes/mount-table-node.js";
import { openDirectory } from "../../../src/local/volumes/open-directory-node.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-open-"));
  for (const name of ["near", "far"]) mkdirSync(join(folder, name));
});
afterEach(() => rmSync(folder, { recursive: true }));

const line = (path: string, type: string) => `36 35 98:0 / ${path} rw - ${type} source rw`;
const mounts = () => new MountTable([line("/", "ext4"), line(join(folder, "far"), "nfs4")].join("\n"));
const near = (within: string[]) => ({ hostPath: join(folder, "near"), readonly: false, within });

describe("a directory on a disk of this machine", () => {
  it("is opened here, within one that has another machine's below it", async () => {
    const { root } = await openDirectory(near([folder]), mounts());
    expect(root).toBeInstanceOf(FileNode);
    root.close();
  });

  it("is not looked for in those of other machines", () => {
    expect(() => openDirectory(near([join(folder, "far")]), mounts())).toThrow("in none of the directories");
  });
});
