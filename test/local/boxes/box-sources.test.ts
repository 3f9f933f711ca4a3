import { describe, expect, it } from "vitest";
import { requireSources, withKept } from "../../../src/local/boxes/box-sources.js";
import { memoryVolume } from "../../../src/local/boxes/memory-volume.js";
import { nodeHost } from "../../../src/local/host/host-node.js";
import type { BoxStore } from "../../../src/local/store/box-store.js";
import { memoryStore } from "../../../src/local/store/store-memory.js";

const mounts = [
  { source: "folder", guestPath: "/work", readonly: false },
  { source: "memory", guestPath: "/memory", readonly: false },
  { source: "folder", guestPath: "/data", readonly: true },
] as const;
const folder = (name: string) => ({ kind: "directory", name }) as const;
const memory = { source: memoryVolume(), guestPath: "/memory" };

describe("the sources of a box", () => {
  it("are no folders of pages in Node, which says what to give", async () => {
    const given = [{ source: folder("picked"), guestPath: "/work" }];
    await expect(requireSources(nodeHost, mounts.slice(0, 1), given)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("give { hostPath }"),
    });
  });

  it("are of the kind that the box has at the path", async () => {
    for (const [given, message] of [
      [[{ ...memory, guestPath: "/work" }], 'the box has no volume in memory at "/work"'],
      [[{ source: folder("x"), guestPath: "/memory" }], 'the box has no folder at "/memory"'],
      [[memory], 'the volume at "/work" needs its source'],
    ] as const)
      await expect(requireSources(nodeHost, mounts, given)).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
        message: expect.stringContaining(message),
      });
  });

  it("are those that are given, and folders that are kept and not given again", async () => {
    const kept = [
      { guestPath: "/work", source: folder("kept") },
      { guestPath: "/data", source: folder("kept data") },
      { guestPath: "/elsewhere", source: folder("of no volume") },
      { guestPath: "/memory", source: folder("of another kind") },
    ];
    const store = (readFolders?: () => Promise<unknown>): BoxStore => ({
      ...memoryStore(false),
      ...(readFolders && { readFolders }),
    });
    const given = [{ source: folder("given"), guestPath: "/work/." }, memory];
    const sources = await withKept(
      store(async () => kept),
      "box",
      mounts,
      given,
    );
    expect(sources).toEqual([...given, kept[1]]);
    for (const damaged of [undefined, null, "text", [null, { guestPath: "/data" }]])
      expect(
        await withKept(
          store(async () => damaged),
          "box",
          mounts,
          given,
        ),
      ).toEqual(given);
    expect(await withKept(store(), "box", mounts, given)).toEqual(given);
  });
});
