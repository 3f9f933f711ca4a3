import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { FolderHandle } from "../../../src/local/volumes/folder-handles.js";
import { openFolder, requireFolders } from "../../../src/local/volumes/open-folder.js";
import { FakeFolder } from "./fake-folder.js";

const given = (handle: FolderHandle, readonly = false, guestPath = "/work") => ({
  handle,
  readonly,
  guestPath,
});

async function open(disk: FakeFolder) {
  const folder = await openFolder(given(disk.handle()));
  onTestFinished(() => folder.close());
  return folder;
}

function folderWith(files: Record<string, string>): FakeFolder {
  const disk = new FakeFolder();
  for (const [path, text] of Object.entries(files)) disk.put(path, text);
  return disk;
}

const has = ({ original: { tree } }: Awaited<ReturnType<typeof open>>, name: string) => {
  const root = tree.root();
  const names = root.list().map((entry) => entry.name);
  root.close();
  return names.includes(name);
};

afterEach(() => vi.unstubAllGlobals());

describe("a folder that is to be a volume", () => {
  it("is shared by all boxes that have it at one time", async () => {
    const disk = folderWith({ a: "1" });
    const [one, other] = await Promise.all([open(disk), open(disk)]);
    expect(one.original).toBe(other.original);
    expect((await open(folderWith({ a: "1" }))).original).not.toBe(one.original);
    one.close();
    one.close();
    expect((await open(disk)).original).toBe(other.original);
  });

  it("is looked at again and again where the browser does not tell of changes", async () => {
    const disk = folderWith({ a: "1" });
    const folder = await open(disk);
    disk.put("b", "2");
    await expect.poll(() => has(folder, "b"), { timeout: 5000 }).toBe(true);
  });

  /** Says that the browser tells of changes, as the returned functions do. */
  function observer(observe: () => Promise<void> = async () => {}) {
    const tells: ((records: object[]) => void)[] = [];
    const disconnect = vi.fn();
    class Observer {
      readonly observe = observe;
      readonly disconnect = disconnect;
      constructor(tell: (records: object[]) => void) {
        tells.push(tell);
      }
    }
    vi.stubGlobal("FileSystemObserver", Observer);
    return { tell: (...records: object[]) => tells[0]!(records), disconnect };
  }

  it("is looked at where the browser says that something has changed, and nowhere else", async () => {
    const { tell, disconnect } = observer();
    const disk = folderWith({ "d/a": "1", other: "x" });
    const folder = await open(disk);
    disk.put("new/deep", "2");
    disk.put("unseen", "3");
    disk.put("moved", "4");
    disk.entries.delete("other");
    const looks = disk.calls.entries!;
    tell(
      { type: "appeared", relativePathComponents: ["new", "deep"] },
      { type: "moved", relativePathComponents: ["moved"], relativePathMovedFrom: ["other"] },
      { type: "modified", relativePathComponents: ["a.crswap"] },
      { type: "modified", relativePathComponents: [] },
    );
    await expect.poll(() => has(folder, "moved")).toBe(true);
    expect(["new", "unseen", "other", "d"].map((name) => has(folder, name))).toEqual([
      true,
      false,
      false,
      true,
    ]);
    expect(disk.calls.entries).toBe(looks + 1);
    tell({ type: "unknown", relativePathComponents: [] });
    await expect.poll(() => has(folder, "unseen")).toBe(true);
    folder.close();
    expect(disconnect).toHaveBeenCalledOnce();
  });

  it("shows all that has changed but what cannot be read, and that once it can be", async () => {
    const { tell } = observer();
    const disk = folderWith({ a: "1" });
    const folder = await open(disk);
    disk.put("bad", "2");
    disk.put("good", "3");
    disk.onCall = (call, name) => (call === "getFile" && name === "bad" ? "UnknownError" : undefined);
    tell(
      { type: "appeared", relativePathComponents: ["bad"] },
      { type: "appeared", relativePathComponents: ["good"] },
    );
    await expect.poll(() => has(folder, "good")).toBe(true);
    expect(has(folder, "bad")).toBe(false);
    // A look at everything fails at it, too, and finds the rest.
    disk.put("unseen", "4");
    await expect.poll(() => has(folder, "unseen"), { timeout: 5000 }).toBe(true);
    disk.onCall = () => undefined;
    await expect.poll(() => has(folder, "bad"), { timeout: 10_000 }).toBe(true);
    const looks = disk.calls.entries!;
    disk.put("told", "5");
    tell({ type: "appeared", relativePathComponents: ["told"] });
    await expect.poll(() => has(folder, "told")).toBe(true);
    expect(disk.calls.entries).toBe(looks);
  });

  it("shows what is in a directory that others have put in the place of another", async () => {
    const { tell } = observer();
    const disk = folderWith({ "d/a": "old", "d/e/f": "1", "d/gone": "2" });
    const { original } = await open(disk);
    disk.entries.delete("d");
    disk.put("d/a", "newer");
    disk.put("d/e/g", "3");
    tell({ type: "appeared", relativePathComponents: ["d"] });
    const listed = () => {
      const root = original.tree.root();
      const d = root.find("d");
      const e = d.find("e");
      const names = [...d.list(), ...e.list()].map(({ name }) => name).sort();
      const { size } = d.find("a").stat();
      for (const node of [root, d, e]) node.close();
      return { names, size };
    };
    await expect.poll(listed).toEqual({ names: ["a", "e", "g"], size: 5 });
  });

  it.each([
    ["cannot observe it", true],
    ["observes it no more", false],
  ])("is looked at again and again when the browser %s", async (_, isRefused) => {
    const { tell } = observer(async () => {
      if (isRefused) throw new Error("not observable");
    });
    const disk = folderWith({});
    const folder = await open(disk);
    if (!isRefused) tell({ type: "errored", relativePathComponents: [] });
    disk.put("b", "2");
    await expect.poll(() => has(folder, "b"), { timeout: 5000 }).toBe(true);
  });

  it("is refused when it cannot be read, and may be given again", async () => {
    const disk = folderWith({ a: "1" });
    disk.onCall = () => "NotFoundError";
    await expect(openFolder(given(disk.handle()))).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringMatching(/^the folder at "\/work" cannot be read: .*\(ENOENT\)/),
    });
    disk.onCall = () => undefined;
    expect(has(await open(disk), "a")).toBe(true);
  });

  it("needs the permission that its box needs", async () => {
    const disk = new FakeFolder();
    const asked: string[] = [];
    const handle = Object.assign(disk.handle(), {
      queryPermission: async ({ mode }: { mode: string }) => {
        asked.push(mode);
        return mode === "read" ? "granted" : "denied";
      },
    }) as FolderHandle;
    await requireFolders([given(handle, true)]);
    await expect(requireFolders([given(handle)])).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining('permission to read and write it, which is "denied"'),
      hint: 'call handle.requestPermission({ mode: "readwrite" }) in a click',
    });
    expect(asked).toEqual(["read", "readwrite"]);
  });

  it("is none if it has not what a handle has, or is the same as another", async () => {
    const none = given({ kind: "directory", name: "x" } as FolderHandle);
    await expect(requireFolders([none])).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    const disk = new FakeFolder();
    await expect(
      requireFolders([given(disk.handle()), given(disk.handle(), true, "/other")]),
    ).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining('the volumes at "/work" and "/other" are the same folder'),
    });
  });

  it("is read-only where the browser lets no page write", async () => {
    vi.stubGlobal("FileSystemFileHandle", class {});
    const disk = new FakeFolder();
    await requireFolders([given(disk.handle(), true)]);
    await expect(requireFolders([given(disk.handle())])).rejects.toMatchObject({
      code: "UNSUPPORTED",
      hint: "add readonly: true",
    });
  });
});
