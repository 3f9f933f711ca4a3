import type { Context } from "./target.js";
import { failure, pattern, sha256, streamOf } from "./tools.js";

export function fileCases(context: Context): void {
  const { it, expect } = context;
  const read = async (path: string) => (await context.box.download(path)).bytes();
  const bytesOf = (text: string) => new TextEncoder().encode(text);

  it("takes and gives 10 MB, by hash, and reports how far it is", async () => {
    const bytes = pattern(10 * 2 ** 20);
    const sent: number[] = [];
    await context.box.upload(streamOf(bytes, 300_000), "/root/big", {
      onProgress: ({ loadedBytes }) => sent.push(loadedBytes),
    });
    expect(sent.at(-1)).toBe(bytes.byteLength);
    const expected = await sha256(bytes);
    expect((await context.box.exec(["sha256sum", "/root/big"])).stdout).toBe(`${expected}  /root/big\n`);

    const received: (number | null)[] = [];
    const download = await context.box.download("/root/big", {
      onProgress: ({ loadedBytes, totalBytes }) => received.push(loadedBytes, totalBytes),
    });
    expect(download.size).toBe(bytes.byteLength);
    expect(await sha256(await download.bytes())).toBe(expected);
    expect(received.slice(-2)).toEqual([bytes.byteLength, bytes.byteLength]);
  });

  it("gives a file as bytes, text, Blob and stream", async () => {
    await context.box.upload(bytesOf("größe"), "/root/text");
    expect(await read("/root/text")).toEqual(bytesOf("größe"));
    expect(await (await context.box.download("/root/text")).text()).toBe("größe");
    expect((await (await context.box.download("/root/text")).blob()).size).toBe(7);
    const stream = (await context.box.download("/root/text")).stream();
    expect(await new Response(stream).text()).toBe("größe");
  });

  it("takes a Blob and an ArrayBuffer", async () => {
    await context.box.upload(new Blob(["blob"]), "/root/blob");
    await context.box.upload(bytesOf("buffer").buffer as ArrayBuffer, "/root/buffer");
    expect((await context.box.exec("cat /root/blob /root/buffer")).stdout).toBe("blobbuffer");
  });

  it("makes the directories of the path, and sets the mode", async () => {
    await context.box.upload(bytesOf("x"), "/srv/a/b/c.txt");
    await context.box.upload(bytesOf("#!/bin/sh\necho ran"), "/srv/a/run", { mode: 0o750 });
    expect(
      (await context.box.exec("stat -c '%a %U' /srv/a/b /srv/a/b/c.txt /srv/a/run; /srv/a/run")).stdout,
    ).toBe("755 root\n644 root\n750 root\nran\n");
  });

  it("takes and gives an empty file", async () => {
    await context.box.upload(new Uint8Array(0), "/root/empty");
    expect((await context.box.exec("stat -c %s /root/empty")).stdout).toBe("0\n");
    expect((await read("/root/empty")).byteLength).toBe(0);
  });

  it("replaces a file whole: who has the old one open goes on reading the old one", async () => {
    await context.box.upload(bytesOf("old contents"), "/root/replaced");
    const reader = await context.box.execStream("exec 3< /root/replaced; echo open; read go; cat <&3", {
      stdin: true,
    });
    const events = reader[Symbol.asyncIterator]();
    await events.next();
    await context.box.upload(bytesOf("new"), "/root/replaced");
    const writer = reader.stdin.getWriter();
    await writer.write("go\n");
    expect(await events.next()).toMatchObject({ value: { data: "old contents" } });
    expect(await (await context.box.download("/root/replaced")).text()).toBe("new");
    await reader.wait();
  });

  it("writes through a symbolic link", async () => {
    await context.box.exec("echo target > /root/target; ln -sf target /root/link");
    await context.box.upload(bytesOf("through"), "/root/link");
    expect((await context.box.exec("cat /root/target; readlink /root/link")).stdout).toBe("throughtarget\n");
  });

  it("leaves the old file, and nothing else, when the source fails or the signal aborts", async () => {
    await context.box.exec("mkdir -p /root/whole && echo old > /root/whole/file");
    const reason = new Error("the source broke");
    let pulls = 0;
    const broken = new ReadableStream<Uint8Array>({
      pull: (controller) => (++pulls > 3 ? controller.error(reason) : controller.enqueue(pattern(100_000))),
    });
    expect(await failure(context.box.upload(broken, "/root/whole/file"))).toBe(reason);

    const controller = new AbortController();
    const endless = new ReadableStream<Uint8Array>({
      pull: (stream) => {
        stream.enqueue(pattern(100_000));
        if (++pulls > 10) controller.abort(reason);
      },
    });
    const upload = context.box.upload(endless, "/root/whole/file", { signal: controller.signal });
    expect(await failure(upload)).toBe(reason);
    const { stdout } = await context.box.exec(
      "until [ $(ls -A /root/whole | wc -l) = 1 ]; do :; done; cat /root/whole/file",
      {
        timeoutMs: 10_000,
      },
    );
    expect(stdout).toBe("old\n");
  });

  it("cancels the source of an upload that is refused", async () => {
    let canceled = false;
    let left = 64 * 2 ** 20;
    const source = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          controller.enqueue(new Uint8Array(65_536));
          left -= 65_536;
          if (left === 0) controller.close();
        },
        cancel: () => {
          canceled = true;
        },
      },
      { highWaterMark: 0 },
    );
    expect(await failure(context.box.upload(source, "/etc"))).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(canceled).toBe(true);
  });

  it("refuses to put a file onto a directory, and a file in the place of one", async () => {
    const onto = await failure(context.box.upload(bytesOf("x"), "/etc"));
    expect(onto).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(onto.message).toMatch(/\/etc.*directory/);
    const below = await failure(context.box.upload(bytesOf("x"), "/etc/passwd/x"));
    expect(below.message).toMatch(/not a directory/);
    expect((await context.box.exec("ls -A /etc | grep -c '^[.]'")).stdout).toBe("0\n");
  });

  const notFiles: Record<string, RegExp> = {
    "/no/such/file": /no such file/,
    "/etc": /directory/,
    "/dev/zero": /not a regular file/,
  };
  it.each(Object.keys(notFiles))("says why %j cannot be downloaded", async (path) => {
    const error = await failure(context.box.download(path));
    expect(error).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(error.message).toContain(path);
    expect(error.message).toMatch(notFiles[path]!);
  });

  it.each(["relative", "", "/a\0b", "/etc/"])("refuses the path %j", async (path) => {
    expect(await failure(context.box.upload(bytesOf("x"), path))).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await failure(context.box.download(path))).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it.each(["a b", "quo'te\"", "new\nline", "größe-文", "-dash", "$(echo x)", "*", "\\"])(
    "takes the name %j as it is",
    async (name) => {
      const path = `/root/names/${name}`;
      await context.box.upload(bytesOf(name), path);
      expect((await context.box.exec(["cat", path])).stdout).toBe(name);
      expect(await (await context.box.download(path)).text()).toBe(name);
    },
  );

  it("gives files that have no size before they are read", async () => {
    const download = await context.box.download("/proc/self/status");
    const text = await download.text();
    expect(text).toMatch(/^Name:/);
    // A proxy on the way may have buffered the whole file, and then announces its size.
    expect([null, text.length]).toContain(download.size);
  });

  it("gives a large file at its reader's pace, and can be left early", async () => {
    await context.box.exec("dd if=/dev/zero of=/root/zeros bs=80000 count=100 2> /dev/null");
    const stream = (await context.box.download("/root/zeros")).stream();
    const reader = stream.getReader();
    expect((await reader.read()).value!.byteLength).toBeGreaterThan(0);
    await reader.cancel();
    expect((await context.box.exec(["echo", "still here"])).stdout).toBe("still here\n");
  });

  it("gives up a download when the signal aborts", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const download = await context.box.download("/root/zeros", { signal: controller.signal });
    const reader = download.stream().getReader();
    await reader.read();
    controller.abort(reason);
    const rest = (async () => {
      while (!(await reader.read()).done);
    })();
    expect(await failure(rest)).toBe(reason);
  });

  it("leaves no transfer open behind downloads that are aborted while they are opened", async () => {
    const reason = new Error("enough");
    for (let i = 0; i < 300; i++) {
      const controller = new AbortController();
      const opening = failure(context.box.download("/root/zeros", { signal: controller.signal }));
      controller.abort(reason);
      expect(await opening).toBe(reason);
    }
    expect((await context.box.exec(["echo", "room"])).stdout).toBe("room\n");
  });

  it("refuses a stream of anything but bytes, and changes nothing", async () => {
    const strings = new ReadableStream({ start: (controller) => controller.enqueue("text") });
    const error = await failure(context.box.upload(strings as ReadableStream<Uint8Array>, "/root/no-bytes"));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect((await context.box.exec(["ls", "/root/no-bytes"])).exitCode).toBe(1);
    const long = `/root/${"x/".repeat(3000)}`;
    expect(await failure(context.box.upload(bytesOf("x"), `${long}x`))).toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  it("moves 20 files at once", async () => {
    const names = Array.from({ length: 20 }, (_, i) => `/root/many/${i}`);
    await Promise.all(names.map((name) => context.box.upload(bytesOf(name.repeat(1000)), name)));
    const contents = await Promise.all(names.map(async (name) => (await context.box.download(name)).text()));
    expect(contents).toEqual(names.map((name) => name.repeat(1000)));
  });

  it("says when the box's disk is full, and leaves the box in order", async () => {
    await using box = await context.client.create(context.target.image, { memoryMb: 256, diskSizeGb: 1 });
    await box.exec("fallocate -l 1000000000 /root/filler || head -c 940000000 /dev/zero > /root/filler");
    await box.exec("fallocate -l 60000000 /root/filler2; fallocate -l 8000000 /root/filler3");
    const error = await failure(box.upload(streamOf(pattern(64 * 2 ** 20), 2 ** 20), "/root/too-much"));
    expect(error).toMatchObject({ code: "STORAGE_FULL" });
    await box.exec("rm /root/filler*");
    await box.upload(bytesOf("fits"), "/root/fits");
    expect((await box.exec("cat /root/fits; ls -A /root")).stdout).toBe("fitsfits\n");
  });
}
