import type { CreateProgress } from "../../index.js";
import type { Context } from "./target.js";
import { failure } from "./tools.js";

export function boxCases(context: Context): void {
  const { it, expect } = context;
  const { target } = context;

  it("fills in the defaults and says what runs", async () => {
    const { info } = context.box;
    expect(info).toMatchObject({
      name: "shared",
      status: "running",
      image: target.image,
      cpu: 2,
      memoryMb: 1024,
      diskSizeGb: 8,
      network: false,
      workdir: "/root",
      env: { FROM_BOX: "box" },
      volumes: null,
      errorCode: null,
      stoppedAt: null,
      local: { cpus: 1, boot: "snapshot", warnings: [] },
    });
    expect(info.id).toMatch(/^box_[0-9a-z]{12}$/);
    expect(info.createdAt).toBeInstanceOf(Date);
    expect(info.startedAt!.getTime()).toBeGreaterThanOrEqual(info.createdAt.getTime());
  });

  it("finds a box by id and by name", async () => {
    expect((await context.client.getBox("shared")).id).toBe(context.box.id);
    expect((await context.client.getBox(context.box.id)).name).toBe("shared");
  });

  it("knows nothing of a box that is not there", async () => {
    expect(await failure(context.client.getBox("nobody"))).toMatchObject({ code: "BOX_NOT_FOUND" });
    expect(await failure(context.client.getBox(""))).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("comes back from JSON", async () => {
    const json = JSON.parse(JSON.stringify(context.box));
    expect((await context.client.fromJSON(json)).name).toBe("shared");
  });

  it("refuses a name that is taken", async () => {
    const error = await failure(context.client.create(target.image, { name: "shared" }));
    expect(error).toMatchObject({ code: "NAME_ALREADY_EXISTS" });
  });

  it.each(["", "-x", ".x", "a b", "a/b", "ä", "x".repeat(64), "box_0123456789ab"])(
    "refuses the name %j",
    async (name) => {
      const error = await failure(context.client.create(target.image, { name }));
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      expect(error.message).toContain("name");
    },
  );

  it.each([
    { memoryMb: 95 },
    { memoryMb: 2049 },
    { memoryMb: 256.5 },
    { diskSizeGb: 0 },
    { diskSizeGb: 65 },
    { cpu: -1 },
    { workdir: "root" },
    { env: { "A=B": "c" } },
    { env: { A: 1 } },
    { memory: 256 },
    { network: "yes" },
    { network: { allow: [443] } },
    { network: { alow: ["pypi.org"] } },
    { network: { allow: ["https://pypi.org"] } },
    { network: { deny: ["pypi.org:65536"] } },
  ])("refuses %j and names the option", async (options) => {
    const error = await failure(context.client.create(target.image, options as object));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain(Object.keys(options)[0]);
  });

  it("lists the images there are when asked for one there is not", async () => {
    const error = await failure(context.client.create("windows:11"));
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toContain("windows:11");
    expect(error.message).toContain(target.image);
  });

  it("lists boxes, and those in one status", async () => {
    const ids = (boxes: { id: string }[]) => boxes.map((box) => box.id);
    expect(ids(await context.client.listBoxes())).toContain(context.box.id);
    expect(ids(await context.client.listBoxes({ status: "running" }))).toContain(context.box.id);
    expect(await context.client.listBoxes({ status: "stopped" })).toEqual([]);
    const error = await failure(context.client.listBoxes({ status: "runing" as "running" }));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("describes itself and its images", async () => {
    const info = await context.client.info();
    expect(info.capabilities).toMatchObject({ stdin: true, signal: true, cursor: true });
    expect(String(info.capabilities.network)).toMatch(/^true$|network/);
    const image = (await context.client.images()).find(({ name }) => name === target.image);
    expect(image?.description).toMatch(/\w/);
    expect(image?.downloadBytes).toBeGreaterThan(100_000);
    expect((await context.client.ready()).reason).toMatch(/\w/);
  });

  it("removes a running box only by force, and then it is gone", async () => {
    const box = await context.client.create(target.image, { memoryMb: 256 });
    expect(await failure(box.remove())).toMatchObject({ code: "BOX_ALREADY_RUNNING" });
    expect((await box.exec(["true"])).exitCode).toBe(0);
    await box.remove({ force: true });
    expect(await failure(box.exec(["true"]))).toMatchObject({ code: "BOX_NOT_FOUND" });
    expect(await failure(box.refresh())).toMatchObject({ code: "BOX_NOT_FOUND" });
  });

  it("removes a box at the end of its scope, if the handle created it", async () => {
    let id: string;
    {
      await using created = await context.client.create(target.image, { memoryMb: 256 });
      await using found = await context.client.getBox(created.id);
      id = found.id;
    }
    expect(await failure(context.client.getBox(id))).toMatchObject({ code: "BOX_NOT_FOUND" });
    {
      await using found = await context.client.getBox("shared");
      void found;
    }
    expect((await context.client.getBox("shared")).id).toBe(context.box.id);
  });

  it("reports progress, in order, up to ready", async () => {
    const steps: CreateProgress[] = [];
    await using box = await context.client.create(target.image, {
      memoryMb: 256,
      onProgress: (step) => steps.push(step),
    });
    void box;
    expect([...new Set(steps.map(({ phase }) => phase))]).toEqual(["download", "boot", "setup", "ready"]);
    const counted = steps.filter(({ loadedBytes }) => loadedBytes !== undefined);
    expect(counted.length).toBeGreaterThan(0);
    for (const { loadedBytes, totalBytes } of counted) expect(loadedBytes).toBeLessThanOrEqual(totalBytes!);
  });

  it("fails a creation whose progress callback throws, and leaves no box", async () => {
    const before = (await context.client.listBoxes()).length;
    for (const at of ["download", "boot", "setup", "ready"]) {
      const reason = new Error(at);
      const onProgress = ({ phase }: { phase: string }) => {
        if (phase === at) throw reason;
      };
      expect(await failure(context.client.create(target.image, { memoryMb: 256, onProgress }))).toBe(reason);
    }
    expect(await context.client.listBoxes()).toHaveLength(before);
  });

  it("says so when the workdir cannot be made", async () => {
    const error = await failure(
      context.client.create(target.image, { memoryMb: 256, workdir: "/etc/passwd/x" }),
    );
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain("workdir");
  });

  it("hands out copies of its state", async () => {
    context.box.info.env!["FROM_BOX"] = "changed";
    expect((await context.box.exec("echo $FROM_BOX")).stdout).toBe("box\n");
    await context.box.refresh();
  });

  it("gives up a creation at once when it is aborted, and leaves no box", async () => {
    const before = (await context.client.listBoxes()).length;
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const creation = context.client.create(target.image, {
      memoryMb: 256,
      signal: controller.signal,
      onProgress: ({ phase }) => phase === "boot" && controller.abort(reason),
    });
    expect(await failure(creation)).toBe(reason);
    expect(await context.client.listBoxes()).toHaveLength(before);
    expect(await failure(context.client.create(target.image, { signal: controller.signal }))).toBe(reason);
  });

  it("gives two boxes of one snapshot their own host name, random numbers and the right time", async () => {
    const options = { memoryMb: 256 };
    await using one = await context.client.create(target.image, { ...options, name: "one" });
    await using two = await context.client.create(target.image, { ...options, name: "two" });
    const probe =
      "hostname; head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid; date +%s";
    const [a, b] = await Promise.all([one.exec(probe), two.exec(probe)]);
    const [hostA, randomA, uuidA, timeA] = a.stdout.split("\n");
    const [hostB, randomB, uuidB] = b.stdout.split("\n");
    expect([hostA, hostB]).toEqual(["one", "two"]);
    expect(randomA).not.toBe(randomB);
    expect(uuidA).not.toBe(uuidB);
    expect(Math.abs(Number(timeA) * 1000 - Date.now())).toBeLessThan(10_000);
  });

  it("keeps one box's files and processes from another", async () => {
    await using other = await context.client.create(target.image, { memoryMb: 256 });
    await context.box.exec("echo mine > /root/mine");
    expect((await other.exec(["cat", "/root/mine"])).exitCode).toBe(1);
  });

  it("boots cold where no snapshot fits, and gives the same box", async () => {
    await using box = await context.client.create(target.image, { memoryMb: 300, diskSizeGb: 3 });
    expect(box.info.local).toMatchObject({ boot: "cold" });
    const { stdout } = await box.exec(
      "hostname; awk '/MemTotal/ { print ($2 > 250000) }' /proc/meminfo; pwd",
    );
    expect(stdout).toBe(`${box.id.replace("_", "-")}\n1\n/root\n`);
  });

  it.each([1, 8, 20])("gives a box the disk it asked for: %j GB", async (diskSizeGb) => {
    await using box = await context.client.create(target.image, { memoryMb: 256, diskSizeGb });
    const { stdout } = await box.exec("df -k / | awk 'NR == 2 { print $2 }'");
    const gb = Number(stdout) / 2 ** 20;
    expect(gb).toBeGreaterThan(diskSizeGb * 0.8);
    expect(gb).toBeLessThan(diskSizeGb * 1.1);
  });

  it("runs one command in a box of its own", async () => {
    const before = (await context.client.listBoxes()).length;
    const result = await context.client.run(target.image, "seq 10 | awk '{ sum += $1 } END { print sum }'", {
      memoryMb: 256,
    });
    expect(result).toMatchObject({ exitCode: 0, stdout: "55\n", stderr: "" });
    expect(await context.client.listBoxes()).toHaveLength(before);
  });

  it("removes the box of a run whose command fails or is too slow", async () => {
    const before = (await context.client.listBoxes()).length;
    const slow = context.client.run(target.image, "echo begun; sleep 60", { memoryMb: 256, timeoutMs: 300 });
    expect(await failure(slow)).toMatchObject({
      code: "TIMEOUT",
      result: { stdout: "begun\n", exitCode: null },
    });
    const failing = context.client.run(target.image, ["false"], { memoryMb: 256, check: true });
    expect(await failure(failing)).toMatchObject({ code: "COMMAND_FAILED" });
    expect(await context.client.listBoxes()).toHaveLength(before);
  });
}
