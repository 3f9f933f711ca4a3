import { BoxRunClient } from "boxrun";
import { expect, it, onTestFinished } from "vitest";
import { useFolder } from "../../pages/folders.js";

const client = new BoxRunClient({ backend: "local", local: { persistent: false } });

it("mounts a folder of the page: both sides see what the other writes", async () => {
  expect(await useFolder()).toEqual([]);
});

it("refuses a folder for which the user has to be asked, the same one twice, and a file", async () => {
  const root = await navigator.storage.getDirectory();
  const asked = Object.assign(await root.getDirectoryHandle("asked", { create: true }), {
    queryPermission: async () => "prompt",
  });
  await expect(
    client.create("tiny", { volumes: [{ source: asked, guestPath: "/a" }] }),
  ).rejects.toMatchObject({
    code: "VALIDATION_ERROR",
    message: expect.stringContaining('needs the user\'s permission to read and write it, which is "prompt"'),
    hint: expect.stringContaining('handle.requestPermission({ mode: "readwrite" })'),
  });
  const twice = ["/a", "/b"].map((guestPath) => ({ source: root, guestPath }));
  await expect(client.create("tiny", { volumes: twice })).rejects.toMatchObject({
    code: "VALIDATION_ERROR",
    message: expect.stringContaining('the volumes at "/a" and "/b" are the same folder'),
  });
  const file = (await root.getFileHandle("file", { create: true })) as never;
  await expect(client.create("tiny", { volumes: [{ source: file, guestPath: "/a" }] })).rejects.toMatchObject(
    {
      code: "VALIDATION_ERROR",
      message: expect.stringContaining(
        "must be a volume in memory or a directory handle, got that of a file",
      ),
    },
  );
});

it("keeps the folder with the box, which starts without it while its page may use it", async () => {
  const root = await navigator.storage.getDirectory();
  const source = await root.getDirectoryHandle("kept", { create: true });
  const kept = new BoxRunClient({ backend: "local", local: { state: "folders" } });
  await using box = await kept.create("tiny", { memoryMb: 256, volumes: [{ source, guestPath: "/work" }] });
  await box.exec("echo kept > /work/file", { check: true });
  await box.stop();
  expect((await box.refresh()).volumes).toEqual([{ source: "folder", guestPath: "/work" }]);
  await box.start();
  expect((await box.exec("cat /work/file")).stdout).toBe("kept\n");
  await box.stop();
  await root.removeEntry("kept", { recursive: true });
  await expect(box.start()).rejects.toMatchObject({
    code: "VALIDATION_ERROR",
    message: expect.stringContaining('the folder at "/work" cannot be read'),
  });
});

it("says by fsync and at the stop what could not be written", async () => {
  const { prototype } = FileSystemFileHandle;
  const { createWritable } = prototype;
  prototype.createWritable = async function (this: FileSystemFileHandle) {
    if (this.name === "full") throw new DOMException("no room", "QuotaExceededError");
    return createWritable.call(this);
  };
  onTestFinished(() => {
    prototype.createWritable = createWritable;
  });
  const root = await navigator.storage.getDirectory();
  const source = await root.getDirectoryHandle("limited", { create: true });
  await using box = await client.create("tiny", { memoryMb: 256, volumes: [{ source, guestPath: "/work" }] });
  const { stderr } = await box.exec("echo x > /work/full; echo y > /work/fits; fsync /work/full");
  expect(stderr).toMatch(/No space left on device/);
  await expect(box.stop()).rejects.toMatchObject({
    code: "STORAGE_FULL",
    message: expect.stringContaining("1 entry of the box's folders could not be written: full (ENOSPC)"),
  });
  expect((await box.refresh()).status).toBe("stopped");
  expect(await (await (await source.getFileHandle("fits")).getFile()).text()).toBe("y\n");
});
