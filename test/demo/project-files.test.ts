import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type FileStore, ProjectFiles } from "../../demo/playground/project-files.js";
import type { KeptFile } from "../../demo/playground/project-store.js";

/** A store in memory, of which `fail` makes the next writes fail. */
class MemoryStore implements FileStore {
  readonly kept = new Map<string, KeptFile>();
  fail = 0;

  async files(): Promise<Map<string, KeptFile>> {
    return new Map(this.kept);
  }

  async saveFiles(
    _id: string,
    changed: ReadonlyMap<string, KeptFile>,
    removed: Iterable<string>,
  ): Promise<void> {
    if (this.fail-- > 0) throw new DOMException("no room", "QuotaExceededError");
    for (const path of removed) this.kept.delete(path);
    for (const [path, file] of changed) this.kept.set(path, file);
  }

  get texts(): Record<string, string | null> {
    const text = ({ data }: KeptFile) => data && new TextDecoder().decode(data);
    return Object.fromEntries([...this.kept].sort().map(([path, file]) => [path, text(file)]));
  }
}

async function open(store = new MemoryStore(), first: Record<string, string> = {}) {
  const errors: string[] = [];
  const saved = vi.fn();
  const files = await ProjectFiles.open("p", store, first, {
    change: () => {},
    saved,
    error: (error) => errors.push((error as Error).message),
  });
  onTestFinished(() => files.close());
  return { store, files, errors, saved, volume: files.volume.files };
}

describe("the files of a project", () => {
  it("are kept as they change: written, renamed with what is in them, removed, and put in place of others", async () => {
    const { store, volume } = await open(undefined, {
      "/main.js": "1",
      "/lib/a.js": "a",
      "/lib/deep/b.js": "b",
    });
    const keeps = (texts: object) => vi.waitFor(() => expect(store.texts).toEqual(texts));
    const lib = { "/lib": null, "/lib/a.js": "a", "/lib/deep": null, "/lib/deep/b.js": "b" };
    await keeps({ "/main.js": "1", ...lib });
    await volume.write("/main.js", "2");
    await keeps({ "/main.js": "2", ...lib });
    await volume.rename("/lib", "/src");
    const src = { "/src": null, "/src/a.js": "a", "/src/deep": null, "/src/deep/b.js": "b" };
    await keeps({ "/main.js": "2", ...src });
    await volume.write("/src/c.js", "c");
    await volume.remove("/src", { recursive: true });
    await keeps({ "/main.js": "2" });
    await volume.remove("/main.js");
    await volume.mkdir("/main.js");
    await keeps({ "/main.js": null });
  });

  it("are there again, with their modes, when the project is opened once more", async () => {
    const first = await open(undefined, { "/a": "1" });
    await first.volume.write("/run.sh", "#!/bin/sh\n", { mode: 0o755 });
    await first.volume.mkdir("/empty");
    await first.files.settle();
    await first.files.save();
    const { volume } = await open(first.store, { "/a": "not this" });
    expect(await volume.read("/a", "utf8")).toBe("1");
    expect((await volume.stat("/run.sh")).mode).toBe(0o755);
    expect((await volume.list("/")).map(({ name }) => name)).toEqual(["a", "empty", "run.sh"]);
  });

  it("that cannot be kept are tried again with the next change, and closing knows of it", async () => {
    const { store, files, errors, volume } = await open(undefined, { "/a": "1" });
    await vi.waitFor(() => expect(store.texts).toEqual({ "/a": "1" }));
    store.fail = 1;
    await volume.rename("/a", "/b");
    await vi.waitFor(() => expect(errors).toEqual(["no room"]));
    expect(store.texts).toEqual({ "/a": "1" });
    expect(files.isUnsaved("/b")).toBe(true);
    store.fail = 1;
    await expect(files.save()).rejects.toThrow("no room");
    await volume.write("/c", "2");
    await vi.waitFor(() => expect(store.texts).toEqual({ "/b": "1", "/c": "2" }));
    expect(files.isUnsaved("/b")).toBe(false);
  });

  it("that are not kept are named once: those too large, and what is no text for a name hides no others", async () => {
    const { store, errors, volume, files } = await open(undefined, { "/a": "1" });
    await volume.write("/large", new Uint8Array(17 * 2 ** 20));
    await vi.waitFor(() =>
      expect(errors).toEqual(["large is not kept when this project is closed, since it has more than 16 MB"]),
    );
    await volume.write("/large", new Uint8Array(18 * 2 ** 20));
    await volume.write(Uint8Array.of(0x2f, 0xff, 0x2f, 0x78), "x");
    await volume.rename("/a", "/z");
    await vi.waitFor(() => expect(store.texts).toMatchObject({ "/z": "1" }));
    expect(errors).toHaveLength(1);
    expect((await files.list(10)).map(({ path }) => path)).toContain("/z");
  });
});
