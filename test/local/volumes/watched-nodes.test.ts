import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hasDescriptorsLeft } from "../../../src/local/volumes/descriptor-room-node.js";
import type { VolumeNode } from "../../../src/local/volumes/volume-files.js";
import { WatchedNodes } from "../../../src/local/volumes/watched-nodes.js";

let proc: string;
beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), "boxrun-proc-"));
  mkdirSync(join(proc, "fd"));
  for (let fd = 0; fd < 10; fd++) writeFileSync(join(proc, `fd/${fd}`), "");
});
afterEach(() => rmSync(proc, { recursive: true }));

describe("descriptors", () => {
  it.each([
    ["20", false],
    ["21", true],
    ["unlimited", true],
  ])("are left to the program from half of a limit of %s on", (soft, isLeft) => {
    const line = (name: string, value: string) =>
      `${name.padEnd(26)}${value.padEnd(21)}1048576              files\n`;
    writeFileSync(join(proc, "limits"), `${line("Max processes", "2")}${line("Max open files", soft)}`);
    expect(hasDescriptorsLeft(proc)).toBe(isLeft);
  });

  it("are taken where the system does not say how many there are", () => {
    expect(hasDescriptorsLeft(join(proc, "missing"))).toBe(true);
  });
});

describe("directories that watches hold", () => {
  let open: Set<number>;
  let hasRoom: boolean;
  const node = (inode: number, object: number) => {
    open.add(object);
    const identity = { kind: "directory", device: 1, inode };
    return { identity, hasRoom: () => hasRoom, close: () => open.delete(object) } as unknown as VolumeNode;
  };
  beforeEach(() => {
    [open, hasRoom] = [new Set(), true];
  });

  it("are held once, until the last watch gives them up", () => {
    const nodes = new WatchedNodes();
    const [first, second] = [nodes.hold(node(7, 1)), nodes.hold(node(7, 2))];
    expect(second.node).toBe(first.node);
    expect([...open]).toEqual([1]);
    first.release();
    expect([...open]).toEqual([1]);
    second.release();
    expect([...open]).toEqual([]);
    nodes.hold(node(7, 3)).release();
    expect([...open]).toEqual([]);
  });

  it("are refused soon after there is no more room, but for those that are held already", () => {
    const nodes = new WatchedNodes();
    nodes.hold(node(1, 1));
    hasRoom = false;
    let refused = 0;
    for (let inode = 2; inode < 300; inode++)
      try {
        nodes.hold(node(inode, inode));
      } catch (error) {
        expect(error).toMatchObject({ errno: "EMFILE" });
        refused++;
      }
    expect(refused).toBeGreaterThan(200);
    expect(open.size).toBe(299 - refused);
    nodes.hold(node(1, 500));
    hasRoom = true;
    nodes.hold(node(400, 400));
    expect(open.has(400)).toBe(true);
  });
});
