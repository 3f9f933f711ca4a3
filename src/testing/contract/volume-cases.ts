import type { MemoryVolume } from "../../local.js";
import type { Context } from "./target.js";
import { failure, sha256 } from "./tools.js";

/** Volumes that cannot be, as HOST_DIR:BOX_DIR, and what the error says. "." is a directory that can be one. */
const FAULTS: Readonly<Record<string, RegExp>> = {
  "relative:/work": /hostPath .*"relative" is not absolute/,
  "/no/such/directory:/work": /hostPath .*\/no\/such\/directory" does not exist/,
  "/etc/passwd:/work": /hostPath .*"\/etc\/passwd" is not one/,
  ".:/": /guestPath must be an absolute path in the box without "\.\.", and not "\/"/,
  ".:/work/../etc": /guestPath must be an absolute path in the box without "\.\."/,
  ".:/proc/self": /guestPath must not be in \/proc/,
  ".:/dev": /guestPath must not be in \/dev/,
  ".:work": /guestPath must be an absolute path/,
};

export function volumeCases(context: Context): void {
  const { it, expect } = context;

  /** Returns the directory that boxes may mount; undefined where they mount none, which `create` says. */
  const directory = async (): Promise<string | undefined> => {
    const { client, target } = context;
    const hostPath = target.hostDirectory;
    const hasVolumes = (await client.info()).capabilities.volumes === true;
    if (hasVolumes && hostPath !== undefined) return hostPath;
    const volumes = [{ hostPath: hostPath ?? "/tmp", guestPath: "/mnt" }];
    expect(await failure(client.create(target.image, { volumes }))).toMatchObject({ code: "UNSUPPORTED" });
    return undefined;
  };

  /** Makes a volume in memory; undefined where boxes run elsewhere, which `create` says. */
  const inMemory = async (files: Record<string, string>): Promise<MemoryVolume | undefined> => {
    const { client, target } = context;
    if ((await client.ready()).kind === "local") return (await import("boxrun/local")).memoryVolume(files);
    const volumes = [{ source: { kind: "memory" } as const, guestPath: "/work" }];
    expect(await failure(client.create(target.image, { volumes }))).toMatchObject({ code: "UNSUPPORTED" });
    return undefined;
  };

  it("mounts directories of the host, or says why not", async () => {
    const { client, target } = context;
    const hostPath = await directory();
    if (hostPath === undefined) return;
    const volumes = [
      { hostPath, guestPath: "/work" },
      { hostPath, guestPath: "/srv/read/only", readonly: true },
    ];
    await using one = await client.create(target.image, { memoryMb: 256, workdir: "/work/inner", volumes });
    expect((await one.refresh()).volumes).toMatchObject(volumes);
    await using other = await client.create(target.image, { memoryMb: 256, volumes: [volumes[0]!] });
    await one.exec("echo written > file && mkdir -p ../a/b && ln -s ../../inner/file ../a/b/link", {
      check: true,
    });
    expect((await other.exec("cat /work/a/b/link")).stdout).toBe("written\n");
    await other.exec("echo changed >> /work/inner/file", { check: true });
    expect((await one.exec("cat /srv/read/only/inner/file")).stdout).toBe("written\nchanged\n");
    const refused = await one.exec("echo x > /srv/read/only/inner/file; rm /srv/read/only/inner/file");
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr.match(/Read-only file system/g)).toHaveLength(2);
    await other.exec("rm -r /work/inner /work/a", { check: true });
    expect((await one.exec("ls /work", { cwd: "/" })).stdout).toBe("");
  });

  it("keeps volumes over a stop and a start", async () => {
    const { client, target } = context;
    const hostPath = await directory();
    if (hostPath === undefined) return;
    await using box = await client.create(target.image, {
      memoryMb: 256,
      volumes: [{ hostPath, guestPath: "/work" }],
    });
    await box.exec("echo kept > /work/kept.txt", { check: true });
    await box.stop();
    await box.start();
    expect((await box.exec("cat /work/kept.txt && rm /work/kept.txt")).stdout).toBe("kept\n");
  });

  it("reaches files in volumes by box.files, wherever links lead", async () => {
    const { client, target } = context;
    const hostPath = await directory();
    if (hostPath === undefined) return;
    await using box = await client.create(target.image, {
      memoryMb: 256,
      volumes: [
        { hostPath, guestPath: "/work" },
        { hostPath, guestPath: "/srv/readonly", readonly: true },
      ],
    });
    const { files } = box;
    await files.write("/work/new/deep/file.txt", "hello");
    expect((await box.exec("cat /work/new/deep/file.txt")).stdout).toBe("hello");
    expect(await files.read("/srv/readonly/new/deep/file.txt", "utf8")).toBe("hello");
    expect(await files.stat("/work/new/deep/file.txt")).toMatchObject({ type: "file", size: 5, mode: 0o644 });
    await box.exec("cd /work/new && chmod 600 deep/file.txt && echo outside > /root/outside", {
      check: true,
    });
    await box.exec(
      "cd /work/new && ln -s deep/file.txt in && ln -s /root/outside absolute && ln -s ../../root/outside up && ln -s absolute twice",
      { check: true },
    );
    expect(await files.read("/work/new/in", "utf8")).toBe("hello");
    for (const link of ["absolute", "up", "twice"])
      expect(await files.read(`/work/new/${link}`, "utf8")).toBe("outside\n");
    await files.write("/work/new/in", "through the link");
    expect(await files.stat("/work/new/deep/file.txt")).toMatchObject({ size: 16, mode: 0o600 });
    await files.write("/work/new/absolute", "written");
    expect(await files.read("/root/outside", "utf8")).toBe("written");
    expect((await files.list("/work/new")).map(({ name, type }) => `${name} ${type}`).sort()).toEqual([
      "absolute symlink",
      "deep directory",
      "in symlink",
      "twice symlink",
      "up symlink",
    ]);
    await files.mkdir("/work/new/one/two", { recursive: true });
    await files.rename("/work/new/deep/file.txt", "/work/new/one/two/moved");
    await files.copy("/work/new/one", "/root/copied", { recursive: true });
    expect(await files.read("/root/copied/two/moved", "utf8")).toBe("through the link");
    const refusal = async (work: Promise<unknown>) => (await failure(work)).message;
    // Between file systems, a rename copies.
    await files.rename("/work/new/one", "/root/one");
    await files.rename("/root/outside", "/work/new/brought");
    expect(await files.read("/root/one/two/moved", "utf8")).toBe("through the link");
    expect(await files.read("/work/new/brought", "utf8")).toBe("written");
    expect(await refusal(files.stat("/work/new/one"))).toMatch(/no such file/i);
    await files.mkdir("/work/new/one");
    expect(await refusal(files.write("/srv/readonly/new/x", "x"))).toMatch(/read-only/i);
    expect(await refusal(files.remove("/srv/readonly/new/in"))).toMatch(/read-only/i);
    expect(await refusal(files.stat("/work/new/nothing"))).toMatch(/no such file/i);
    expect(await refusal(files.read("/work/new/one"))).toMatch(/directory/i);
    expect(await refusal(files.stat("/work/new/brought/below"))).toMatch(/not a directory/i);
    const large = new Uint8Array(3_000_001).map((_, index) => index % 251);
    await box.upload(large, "/work/new/large");
    expect(await sha256(await files.read("/srv/readonly/new/large"))).toBe(await sha256(large));
    expect((await box.exec("ls -A /work/new | grep boxrun")).exitCode).toBe(1);
    await files.remove("/work/new", { recursive: true });
    expect(await files.list("/work")).toEqual([]);
  });

  it("shares a volume in memory between boxes and this program, or says why not", async () => {
    const { client, target } = context;
    const source = await inMemory({ "/src/greeting": "hello\n" });
    if (!source) return;
    const { files } = source;
    const volumes = [
      { source, guestPath: "/work" },
      { source, guestPath: "/srv/read/only", readonly: true },
    ];
    await using one = await client.create(target.image, { memoryMb: 256, workdir: "/work/inner", volumes });
    expect((await one.refresh()).volumes).toEqual([
      { source: "memory", guestPath: "/work" },
      { source: "memory", guestPath: "/srv/read/only", readonly: true },
    ]);
    await using other = await client.create(target.image, { memoryMb: 256, volumes: [volumes[0]!] });
    await one.exec("cat ../src/greeting > file && ln -s inner/file ../link && chmod 600 file", {
      check: true,
    });
    expect((await other.exec("cat /work/link")).stdout).toBe("hello\n");
    expect(await files.read("/link", "utf8")).toBe("hello\n");
    expect(await files.stat("/inner/file")).toMatchObject({ type: "file", size: 6, mode: 0o600 });
    await files.write("/inner/file", "changed\n");
    expect((await one.exec("cat /srv/read/only/inner/file")).stdout).toBe("changed\n");
    const refused = await one.exec("echo x > /srv/read/only/inner/file; rm /srv/read/only/inner/file");
    expect(refused.stderr.match(/Read-only file system/g)).toHaveLength(2);
    await other.files.write("/work/inner/by-box", "written", { mode: 0o640 });
    expect(await files.stat("/inner/by-box")).toMatchObject({ size: 7, mode: 0o640 });
    expect(await one.files.read("/srv/read/only/inner/by-box", "utf8")).toBe("written");
    await other.exec("rm -r /work/inner /work/link", { check: true });
    expect((await files.list("/")).map(({ name }) => name)).toEqual(["src"]);
  });

  it("keeps a file in memory for the program that has it open", async () => {
    const { client, target } = context;
    const source = await inMemory({ "/kept": "before" });
    if (!source) return;
    const volumes = [{ source, guestPath: "/work" }];
    await using box = await client.create(target.image, { memoryMb: 256, volumes });
    const waiting = await box.execStream("exec 3<>/work/kept; echo open; read line; printf A >&3; cat <&3", {
      stdin: true,
    });
    const writer = waiting.stdin.getWriter();
    for await (const event of waiting) {
      if (event.type === "log" && event.data === "open\n") {
        await source.files.remove("/kept");
        await writer.write("go\n");
      }
      if (event.type === "exit") expect(event.exitCode).toBe(0);
      if (event.type === "log" && event.data !== "open\n") expect(event.data).toBe("efore");
    }
    expect(await source.files.exists("/kept")).toBe(false);
  });

  it("reports what a program changes in memory, as it happens", async () => {
    const { client, target } = context;
    const source = await inMemory({ "/a": "" });
    if (!source) return;
    await using box = await client.create(target.image, {
      memoryMb: 256,
      volumes: [{ source, guestPath: "/work" }],
    });
    const life = new AbortController();
    const watch = source.files.watch({ signal: life.signal });
    await box.exec("cd /work; mkdir d; mv a d/b; rm d/b", { check: true });
    const events = [await watch.next(), await watch.next(), await watch.next()].map(({ value }) => value);
    expect(events).toEqual([
      { type: "created", path: "/d" },
      { type: "renamed", path: "/d/b", from: "/a" },
      { type: "removed", path: "/d/b" },
    ]);
    life.abort(new Error("enough"));
    expect((await failure(watch.next())).message).toBe("enough");
  });

  it("starts a box with a volume in memory only when it is given again", async () => {
    const { client, target } = context;
    const source = await inMemory({ "/a": "kept" });
    if (!source) return;
    const volumes = [{ source, guestPath: "/work" }];
    await using box = await client.create(target.image, { memoryMb: 256, volumes });
    await box.stop();
    const missing = await failure(box.start());
    expect(missing).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(missing.message).toMatch(/the volume at "\/work" needs its source/);
    const other = await failure(box.start({ volumes: [...volumes, { source, guestPath: "/other" }] }));
    expect(other).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(other.message).toMatch(/no volume in memory at "\/other"/);
    await box.start({ volumes });
    expect((await box.exec("cat /work/a")).stdout).toBe("kept");
  });

  it("gives a program ENOSPC when a volume in memory is full, and goes on", async () => {
    const { client, target } = context;
    if (!(await inMemory({}))) return;
    const source = (await import("boxrun/local")).memoryVolume({}, { maxBytes: 100_000 });
    const volumes = [{ source, guestPath: "/work" }];
    await using box = await client.create(target.image, { memoryMb: 256, volumes });
    const full = await box.exec("dd if=/dev/zero of=/work/zeroes bs=200000 count=1");
    expect(full.stderr).toMatch(/No space left on device/);
    expect(await failure(source.files.write("/more", "x".repeat(5000)))).toMatchObject({
      code: "STORAGE_FULL",
    });
    await box.exec("rm /work/zeroes && echo room > /work/more", { check: true });
    expect(await source.files.read("/more", "utf8")).toBe("room\n");
  });

  it.each(Object.keys(FAULTS))("refuses %j, or any volume", async (volume) => {
    const { client, target } = context;
    const hostPath = await directory();
    if (hostPath === undefined) return;
    const before = (await client.listBoxes()).length;
    const [given = "", guestPath = ""] = volume.split(":");
    const message = FAULTS[volume]!;
    const volumes = [{ hostPath: given === "." ? hostPath : given, guestPath }];
    const error = await failure(client.create(target.image, { volumes }));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toMatch(message);
    expect(await client.listBoxes()).toHaveLength(before);
  });

  it("refuses two volumes at one place, and more than there may be", async () => {
    const { client, target } = context;
    const hostPath = await directory();
    if (hostPath === undefined) return;
    const at = (guestPath: string) => ({ hostPath, guestPath });
    const twice = await failure(client.create(target.image, { volumes: [at("/a"), at("//a/.")] }));
    expect(twice).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(twice.message).toMatch(/volumes\[1\]\.guestPath is that of another volume/);
    const many = Array.from({ length: 17 }, (_, index) => at(`/a/${index}`));
    const tooMany = await failure(client.create(target.image, { volumes: many }));
    expect(tooMany).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(tooMany.message).toMatch(/volumes must be at most 16, got 17/);
  });
}
