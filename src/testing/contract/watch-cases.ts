import type { FileEvent } from "../../files/file-types.js";
import type { Context } from "./target.js";
import { failure } from "./tools.js";

export function watchCases(context: Context): void {
  const { it, expect } = context;

  /** Returns true if the backend watches files; otherwise checks that it says why not. */
  const watches = async (): Promise<boolean> => {
    if ((await context.client.info()).capabilities.watch === true) return true;
    const { ready } = context.box.files.watch("/root");
    expect(await failure(ready)).toMatchObject({ code: "UNSUPPORTED" });
    return false;
  };

  /** Collects events up to the one that is asked for, without repeated ones: one write may be several changes. */
  const until = async (watch: AsyncIterator<FileEvent, void>, last: string): Promise<string[]> => {
    const seen: string[] = [];
    for (;;) {
      const { done, value } = await watch.next();
      if (done) return [...seen, "end"];
      const { type, path } = value;
      const shown = type === "renamed" ? `renamed ${value.from} ${path}` : `${type} ${path}`;
      if (seen.at(-1) !== shown) seen.push(shown);
      if (shown === last) return seen;
    }
  };

  it("reports what programs do to the entries of a directory", async () => {
    if (!(await watches())) return;
    await context.box.exec("rm -rf /root/seen && mkdir -p /root/seen/inner", { check: true });
    await using watch = context.box.files.watch("/root/seen");
    await watch.ready;
    await context.box.exec(
      "cd /root/seen && echo a > file && mv file other && echo unseen > inner/deep && rm other && mkdir last",
      { check: true },
    );
    expect(await until(watch, "created /root/seen/last")).toEqual([
      "created /root/seen/file",
      "changed /root/seen/file",
      "renamed /root/seen/file /root/seen/other",
      "removed /root/seen/other",
      "created /root/seen/last",
    ]);
  });

  it("reports what box.files does, in directories that are made meanwhile, too", async () => {
    if (!(await watches())) return;
    const { files } = context.box;
    await files.mkdir("/root/tree", { recursive: true });
    await using watch = files.watch("/root/tree", { recursive: true });
    await watch.ready;
    await files.mkdir("/root/tree/a/b", { recursive: true });
    await files.write("/root/tree/a/b/größe", "contents");
    await files.remove("/root/tree/a/b/größe");
    const seen = await until(watch, "removed /root/tree/a/b/größe");
    expect(seen.slice(0, 2)).toEqual(["created /root/tree/a", "created /root/tree/a/b"]);
    expect(seen.some((event) => /^(created|renamed .*) \/root\/tree\/a\/b\/größe$/.test(event))).toBe(true);
    await files.rename("/root/tree/a", "/root/tree/z");
    await until(watch, "renamed /root/tree/a /root/tree/z");
    await files.write("/root/tree/z/b/last", "");
    // Written beside its place, and renamed.
    for await (const { path } of watch) if (path === "/root/tree/z/b/last") break;
  });

  it("watches one file, however it is replaced, to its end", async () => {
    if (!(await watches())) return;
    const { files } = context.box;
    await files.write("/root/one", "1");
    const watch = files.watch("/root/one");
    await watch.ready;
    await context.box.exec("echo 2 >> /root/one; echo 3 > /root/three", { check: true });
    expect(await until(watch, "changed /root/one")).toEqual(["changed /root/one"]);
    await context.box.exec("mv /root/three /root/one", { check: true });
    await until(watch, "created /root/one");
    await files.remove("/root/one");
    expect((await until(watch, "nothing")).slice(-2)).toEqual(["removed /root/one", "end"]);
  });

  it("says what is wrong with a path that cannot be watched", async () => {
    if (!(await watches())) return;
    const { files } = context.box;
    const missing = files.watch("/root/no/such/path");
    expect(await failure(missing.ready)).toMatchObject({ code: "RUNTIME_ERROR", cause: { code: "ENOENT" } });
    expect(await failure(missing.next())).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(await failure(files.watch("relative").ready)).toMatchObject({ code: "VALIDATION_ERROR" });
    const options = { recursiv: true } as object;
    expect(await failure(files.watch("/root", options).ready)).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("ends a watch by its signal, by its loop, and with its box", async () => {
    if (!(await watches())) return;
    const { client, target } = context;
    const box = await client.create(target.image);
    const reason = new Error("enough");
    const controller = new AbortController();
    const aborted = box.files.watch("/root", { signal: controller.signal });
    await aborted.ready;
    const next = failure(aborted.next());
    controller.abort(reason);
    expect(await next).toBe(reason);
    const looped = box.files.watch("/root");
    await looped.ready;
    await box.files.write("/root/file", "x");
    for await (const { path } of looped) {
      expect(path).toMatch(/^\/root\//);
      break;
    }
    expect(await looped.next()).toMatchObject({ done: true });
    const left = box.files.watch("/root");
    await left.ready;
    const end = failure(left.next());
    await box.remove({ force: true });
    expect((await end).code).toMatch(/^BOX_NOT_(RUNNING|FOUND)$/);
  });

  it("watches volumes, wherever the changes are made", async () => {
    const { client, target } = context;
    if (!(await watches()) || target.hostDirectory === undefined) return;
    if ((await client.info()).capabilities.volumes !== true) return;
    const volumes = [{ hostPath: target.hostDirectory, guestPath: "/srv/volume" }];
    const [one, other] = await Promise.all(
      [1, 2].map(() => client.create(target.image, { memoryMb: 256, volumes })),
    );
    try {
      await one!.exec("rm -rf /srv/volume/watched; mkdir /srv/volume/watched", { check: true });
      await using within = one!.files.watch("/srv/volume/watched");
      await using above = one!.files.watch("/srv", { recursive: true });
      await Promise.all([within.ready, above.ready]);
      await one!.exec("echo mine > /srv/volume/watched/mine", { check: true });
      await until(within, "created /srv/volume/watched/mine");
      await other!.exec("mv /srv/volume/watched/mine /srv/volume/watched/yours", { check: true });
      const renamed = "renamed /srv/volume/watched/mine /srv/volume/watched/yours";
      await until(within, renamed);
      await until(above, renamed);
      await one!.exec("mkdir /root/aside; ln -s /root/aside /srv/volume/watched/out", { check: true });
      await using outside = one!.files.watch("/srv/volume/watched/out", { recursive: true });
      await outside.ready;
      await one!.exec("mkdir /root/aside/new", { check: true });
      await until(outside, "created /srv/volume/watched/out/new");
    } finally {
      await one!.exec("rm -rf /srv/volume/watched");
      await Promise.all([one, other].map((box) => box!.remove({ force: true })));
    }
  });
}
