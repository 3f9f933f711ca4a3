import type { Context } from "./target.js";
import { failure, pattern, sha256, streamOf } from "./tools.js";

/** Cases for overwriting files, and for files that are not regular. Each works below a directory of its own. */
export function kindCases(context: Context): void {
  const { it, expect } = context;
  const files = () => context.box.files;
  const sh = (script: string) => context.box.exec(script, { check: true });
  const modeOf = async (path: string) => (await files().stat(path)).mode;

  it("keeps the mode and the owner of a file that is there, unless a mode is given", async () => {
    await sh(`mkdir -p /srv/keep && cd /srv/keep && printf '#!/bin/sh\\necho one\\n' > run && chmod 755 run
      printf secret > key && chmod 600 key; printf x > theirs && chown 1000:1001 theirs && chmod 640 theirs`);
    const script = await files().read("/srv/keep/run", "utf8");
    await files().write("/srv/keep/run", script.replace("one", "two"));
    expect((await context.box.exec(["/srv/keep/run"])).stdout).toBe("two\n");
    await files().write("/srv/keep/key", "another secret");
    expect(await modeOf("/srv/keep/key")).toBe(0o600);
    await files().write("/srv/keep/theirs", "y", { mode: 0o604 });
    const theirs = { uid: 1000, gid: 1001, size: 1, mode: 0o604 };
    expect(await files().stat("/srv/keep/theirs")).toMatchObject(theirs);
  });

  it("keeps them however large the file is", async () => {
    await sh("cd /srv && echo x > large && chown 1000:1001 large && chmod 640 large");
    await files().write("/srv/large", streamOf(pattern(1_000_000), 300_000));
    const large = { uid: 1000, gid: 1001, mode: 0o640, size: 1_000_000 };
    expect(await files().stat("/srv/large")).toMatchObject(large);
  });

  it("follows links to what is replaced, and leaves links and other names what they are", async () => {
    await sh(`mkdir -p /srv/links/there && cd /srv/links && echo old > there/target && chmod 600 there/target
      ln there/target other && ln -s there/target relative && ln -s ../links/relative link && ln -s none/new dangling`);
    await files().write("/srv/links/link", "new");
    expect((await sh("cd /srv/links; readlink link; readlink relative; cat there/target other")).stdout).toBe(
      "../links/relative\nthere/target\nnewold\n",
    );
    expect(await modeOf("/srv/links/there/target")).toBe(0o600);
    await files().write("/srv/links/dangling", "made");
    expect(await files().read("/srv/links/none/new", "utf8")).toBe("made");
    expect(await files().lstat("/srv/links/dangling")).toMatchObject({ type: "symlink" });
    expect((await sh("cd /srv/links; ls -A . none there")).stdout).toBe(
      ".:\ndangling\nlink\nnone\nother\nrelative\nthere\n\nnone:\nnew\n\nthere:\ntarget\n",
    );
  });

  it("writes into what cannot be replaced: devices, files of the kernel, mounts", async () => {
    const mode = await modeOf("/dev/null");
    await files().write("/dev/null", "gone");
    expect(await files().lstat("/dev/null")).toMatchObject({ type: "other", mode });
    await files().write("/proc/sys/vm/swappiness", "37\n");
    expect(await files().read("/proc/sys/vm/swappiness", "utf8")).toBe("37\n");
    await sh(`mkdir -p /srv/mount && cd /srv/mount && echo a longer text > source && chmod 640 source && : > file
      mount -o bind source file`);
    try {
      await files().write("/srv/mount/file", "through");
      expect((await sh("cd /srv/mount; cat source; stat -c ' %a' source; ls -A")).stdout).toBe(
        "through 640\nfile\nsource\n",
      );
    } finally {
      await sh("umount /srv/mount/file");
    }
  });

  it("says that a write failed which may have been done in part", async () => {
    const error = await failure(files().write("/dev/full", "much"));
    expect(error.message).toMatch(/in place.*\/dev\/full.*partly written/);
    expect(await files().stat("/dev/full")).toMatchObject({ type: "other" });
  });

  it("refuses at once what nobody may ever read or write", async () => {
    await sh(
      `mkdir -p /srv/fifo/dir /srv/fifo/linked && cd /srv/fifo && mkfifo fifo dir/name && ln -s fifo link && echo x > name
      ln -s ../fifo linked/name`,
    );
    const refused = [
      files().write("/srv/fifo/fifo", "x"),
      files().write("/srv/fifo/link", "x"),
      files().read("/srv/fifo/fifo"),
      files().read("/srv/fifo/link"),
      files().copy("/srv/fifo/fifo", "/srv/fifo/copy"),
      files().copy("/srv/fifo/name", "/srv/fifo/link"),
      files().copy("/srv/fifo", "/srv/fifo/dir", { recursive: true }),
      files().copy("/srv/fifo", "/srv/fifo/linked", { recursive: true }),
      files().copy("/dev/zero", "/srv/fifo/copy"),
      files().read("/dev/zero"),
    ];
    for (const call of refused.map(failure)) expect(await call).toMatchObject({ code: "RUNTIME_ERROR" });
    const upload = failure(context.box.upload(pattern(1_500_000), "/srv/fifo/fifo"));
    expect((await upload).message).toMatch(/\/srv\/fifo\/fifo.*FIFO/);
    for (const name of ["fifo", "dir/name"])
      expect(await files().lstat(`/srv/fifo/${name}`)).toMatchObject({ type: "other" });
    expect(await files().exists("/srv/fifo/copy")).toBe(false);
  });

  it("takes FIFOs, sockets and devices as entries like any other", async () => {
    await sh(
      "mkdir -p /srv/odd/from && cd /srv/odd/from && mkfifo fifo && mknod null c 1 3 && echo x > file",
    );
    const namesIn = async (path: string) =>
      (await files().list(path)).map(({ name, type }) => `${name} ${type}`);
    const all = ["fifo other", "file file", "null other"];
    expect(await namesIn("/srv/odd/from")).toEqual(all);
    await files().copy("/srv/odd/from", "/srv/odd/copy", { recursive: true });
    expect(await namesIn("/srv/odd/copy")).toEqual(all);
    const archive = await new Response(await files().pack("/srv/odd/from")).blob();
    await files().unpack(archive, "/srv/odd/unpacked");
    expect(await namesIn("/srv/odd/unpacked")).toEqual(all);
    await files().rename("/srv/odd/copy/fifo", "/srv/odd/moved");
    await files().remove("/srv/odd/moved");
    await files().remove("/srv/odd/copy/null");
    await files().remove("/srv/odd/unpacked", { recursive: true });
    expect(await namesIn("/srv/odd/copy")).toEqual(["file file"]);
  });

  it("copies what links lead to, and to where they lead", async () => {
    await sh(`mkdir -p /srv/cp-links && cd /srv/cp-links && echo one > one && echo two > two && chmod 750 one
      ln -s one from && ln -s two to && ln -s three dangling`);
    await files().copy("/srv/cp-links/from", "/srv/cp-links/new");
    expect(await files().lstat("/srv/cp-links/new")).toMatchObject({ type: "file", size: 4, mode: 0o750 });
    await files().copy("/srv/cp-links/from", "/srv/cp-links/to");
    await files().copy("/srv/cp-links/from", "/srv/cp-links/dangling");
    expect((await sh("cd /srv/cp-links; readlink to; readlink dangling; cat two three")).stdout).toBe(
      "two\nthree\none\none\n",
    );
    expect(await failure(files().copy("/srv/cp-links/none", "/srv/cp-links/x"))).toMatchObject({
      cause: { code: "ENOENT" },
    });
    await files().copy("/srv/cp-links/one", "/dev/null");
    expect(await files().stat("/dev/null")).toMatchObject({ type: "other", mode: 0o666 });
  });

  it("gives a file that grows as far as it went, one that is removed whole, and none that is cut", async () => {
    const size = 3 * 2 ** 20;
    // The last takes longer to send than to cut, even to a browser (WebKitGTK) that reads ahead without a bound.
    await sh(`mkdir -p /srv/moving && cd /srv/moving && for megabytes in 3:grows 3:goes 256:cut; do
      dd if=/dev/zero of=\${megabytes#*:} bs=1M seek=\${megabytes%:*} count=0 2> /dev/null; done`);
    const begun = async (name: string) => {
      const { size, stream } = await download(name);
      const reader = stream.getReader();
      return { size, reader, first: (await reader.read()).value!.byteLength };
    };
    const download = async (name: string) => {
      const opened = await context.box.download(`/srv/moving/${name}`);
      return { size: opened.size, stream: opened.stream() };
    };
    const rest = async ({ reader, first }: Awaited<ReturnType<typeof begun>>) => {
      let got = first;
      for (;;) {
        const { value } = await reader.read();
        if (!value) return got;
        got += value.byteLength;
      }
    };
    const grows = await begun("grows");
    await sh("echo more >> /srv/moving/grows");
    expect([grows.size, await rest(grows)]).toEqual([size, size]);
    const goes = await begun("goes");
    await files().remove("/srv/moving/goes");
    expect(await rest(goes)).toBe(size);
    const cut = await begun("cut");
    await sh(": > /srv/moving/cut");
    expect((await failure(rest(cut))).message).toMatch(/\/srv\/moving\/cut|\d+ of \d+|broke|lost/);
    await files().remove("/srv/moving", { recursive: true });
  });

  it("lists, copies and packs a directory in which files come and go", async () => {
    await files().write("/srv/churn/from/stays", "x");
    const churn = await context.box.execStream(
      "cd /srv/churn/from && echo on && while :; do for i in $(seq 60); do echo > $i; done; rm -f [0-9]*; done",
      { detached: true },
    );
    try {
      await churn[Symbol.asyncIterator]().next();
      for (let i = 0; i < 3; i++) {
        expect((await files().list("/srv/churn/from")).map(({ name }) => name)).toContain("stays");
        const archive = await new Response(await files().pack("/srv/churn/from")).blob();
        expect(archive.size).toBeGreaterThan(1023);
        await files().copy("/srv/churn/from", "/srv/churn/to", { recursive: true });
      }
    } finally {
      await churn.cancel();
    }
    expect(await files().read("/srv/churn/to/stays", "utf8")).toBe("x");
    await files().remove("/srv/churn", { recursive: true });
  });

  it("reads files of the kernel that are not as long as they say", async () => {
    expect(await files().read("/sys/kernel/uevent_seqnum", "utf8")).toMatch(/^\d+\n$/);
    expect(await files().read("/proc/sys/kernel/ostype", "utf8")).toBe("Linux\n");
  });

  it("unpacks what is compressed with gzip, and names what is compressed otherwise", async () => {
    await files().write("/srv/gz/from/deep/file", pattern(100_000));
    const tar = await files().pack("/srv/gz/from");
    const gzip = new CompressionStream("gzip") as unknown as ReadableWritablePair<Uint8Array, Uint8Array>;
    const archive = new Uint8Array(await new Response(tar.pipeThrough(gzip)).arrayBuffer());
    await files().unpack(streamOf(archive, 997), "/srv/gz/pieces");
    await files().unpack(archive, "/srv/gz/to");
    expect(await sha256(await files().read("/srv/gz/to/deep/file"))).toBe(await sha256(pattern(100_000)));
    expect((await files().stat("/srv/gz/pieces/deep/file")).size).toBe(100_000);
    expect(
      await failure(files().unpack(archive.subarray(0, archive.byteLength / 2), "/srv/gz/half")),
    ).toMatchObject({ code: "RUNTIME_ERROR" });
    const error = await failure(
      files().unpack(new Blob([Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0)]), "/srv/gz/no"),
    );
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toMatch(/zstd.*gzip/);
    expect(await files().exists("/srv/gz/no")).toBe(false);
  });

  it("refuses a name that is half a character, in every call", async () => {
    await files().mkdir("/srv/half");
    const path = "/srv/half/a\ud800b";
    const calls = [
      files().write(path, "x"),
      files().read(path),
      files().list(path),
      files().stat(path),
      files().lstat(path),
      files().exists(path),
      files().mkdir(path),
      files().rename(path, "/srv/half/x"),
      files().rename("/srv/half", path),
      files().copy(path, "/srv/half/x"),
      files().copy("/srv/half", path, { recursive: true }),
      files().remove(path, { force: true }),
      files().pack(path),
      files().unpack(new Blob(["x"]), path),
      context.box.upload(new Uint8Array(1), path),
      context.box.download(path),
    ];
    for (const call of calls.map(failure)) {
      const error = await call;
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      expect(error.message).toMatch(/surrogate/);
    }
    expect(await files().list("/srv/half")).toEqual([]);
  });
}
