import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BoxHandle, BoxRunClient } from "boxrun";
import { memoryVolume } from "boxrun/local";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../root.js";

const LONG_MS = 300_000;
const PROGRAMS = join(ROOT, "test/local/volumes/guest");

type Differences = Record<string, [string, string]>;

/** Results of guest/cases.py that differ from those on the box's own disk, and why they do: [on the disk, on the volume]. */
const DIFFERENCES: Differences = {
  // Special files would be the host's.
  mkfifo: ["'FIFO'", "EPERM"],
  "mknod of a device": ["'CHR'", "EPERM"],
  "bind a socket": ["'SOCK'", "EPERM"],
  // The owner is the host's user, whom the box shows as root.
  chown: ["(1000, 1000)", "(0, 0)"],
  // A program with setuid would be one for the host's users, too.
  "chmod with setuid": ["'0o104755'", "'0o100755'"],
  "extended attribute": ["b'value'", "ENOTSUP"],
  // overlayfs lists a directory that was removed as an empty one. Other file systems of Linux do not.
  "remove the working directory": ["[]", "ENOENT"],
  // For a shared mapping, v9fs looks the file up by its name.
  "shared mapping of a removed file": ["b'hello.'", "ENOENT"],
  // v9fs cuts times that are set to whole seconds.
  "time with nanoseconds": ["2500000000", "2000000000"],
};

/** Those of one kind of volume alone. */
const MORE_DIFFERENCES: { [guestPath: string]: Differences } = {
  "/work": {
    // Linux has no call that changes a link by its descriptor.
    "times of a link": ["2.0", expect.stringMatching(/^\d{10}/) as string],
  },
  "/memory": {
    // A file in memory has no time of access: each read would be a change for all boxes.
    ...Object.fromEntries(
      ["file", "link to a file"].map((kind) => [
        `utime ${kind}`,
        ["(2000000.0, 1000000.0)", "(2000000.0, 2000000.0)"],
      ]),
    ),
    // A file in memory is smaller than 2 GiB.
    "sparse file of 5 GB": ["(5368709123, True, b'\\x00end')", "EFBIG"],
  },
};

let client: BoxRunClient;
let box: BoxHandle;
let folder: string;
let own: Record<string, string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-volume-"));
  client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  box = await client.create("debian", {
    volumes: [
      { hostPath: folder, guestPath: "/work" },
      { source: memoryVolume(), guestPath: "/memory" },
      { hostPath: PROGRAMS, guestPath: "/programs", readonly: true },
    ],
  });
  await box.exec("mkdir -p /root/own /work/volume /memory/volume", { check: true });
  own = JSON.parse((await python("cases", "/root/own")).stdout);
}, LONG_MS);
afterAll(async () => {
  await client?.close();
  rmSync(folder, { recursive: true, force: true });
});

const python = (program: string, ...args: string[]) =>
  box.exec(["python3", `/programs/${program}.py`, ...args], { check: true });

describe("a volume, for programs of debian", () => {
  it.each(Object.keys(MORE_DIFFERENCES))(
    "in %s does what the box's own disk does, but for a list of reasons",
    { timeout: LONG_MS },
    async (guestPath) => {
      const volume = JSON.parse((await python("cases", `${guestPath}/volume`)).stdout) as typeof own;
      const found = Object.keys(own).filter((name) => own[name] !== volume[name]);
      const differences = Object.fromEntries(found.map((name) => [name, [own[name], volume[name]]]));
      expect(differences).toEqual({ ...DIFFERENCES, ...MORE_DIFFERENCES[guestPath] });
      expect(Object.keys(own).length).toBeGreaterThan(180);
    },
  );

  it.each([1, 2, 3])(
    "holds what was written, cut and mapped at random, seed %i",
    { timeout: LONG_MS },
    async (seed) => {
      await python("fsx", "/work/volume", String(seed), "400");
    },
  );

  it.each(["wal", "delete"])(
    "keeps a SQLite database whole, with journal_mode %s",
    { timeout: LONG_MS },
    async (mode) => {
      mkdirSync(join(folder, mode));
      const { stdout } = await python("sqlite", `/work/${mode}`, mode);
      expect(stdout).toBe(`${mode}\n[0, 0]\nok 300\n`);
    },
  );

  it("takes a tree by tar and gives it back", { timeout: LONG_MS }, async () => {
    await box.exec(
      `set -e
      cp -r /usr/lib/python3.13/json /usr/lib/python3.13/email /root/own/
      mkdir /work/tree && tar -C /root/own -cf - json email | tar -C /work/tree -xf -
      mkdir /root/back && tar -C /work/tree -cf - . | tar -C /root/back -xf -
      diff -r /root/own/json /work/tree/json && diff -r /root/own/email /root/back/email
      rm -r /work/tree && ls -A /work | grep -c tree || true`,
      { check: true },
    );
  });

  it("holds a tree of 200 files, for the usual tools", { timeout: LONG_MS }, async () => {
    const found = [];
    for (const place of ["/root/own", "/work/volume", "/memory/volume"])
      found.push(JSON.parse((await python("tree", place, "200")).stdout).found);
    const [onDisk, ...onVolumes] = found;
    expect(onDisk).toMatchObject({ find: [0, "203"], list: [0, "200"], compare: [0, ""], left: 0 });
    expect(onVolumes).toEqual([onDisk, onDisk]);
  });

  it("has the host's changes at the next look", { timeout: LONG_MS }, async () => {
    const reader = await box.execStream(
      [
        "python3",
        "-uc",
        `import os, sys
for line in sys.stdin:
    try: print(repr(eval(line)))
    except OSError as error: print(type(error).__name__)`,
      ],
      { stdin: true },
    );
    const writer = reader.stdin.getWriter();
    const events = reader[Symbol.asyncIterator]();
    const ask = async (expression: string): Promise<string> => {
      await writer.write(`${expression}\n`);
      let text = "";
      while (!text.endsWith("\n")) {
        const { value, done } = await events.next();
        if (done) throw new Error(`the program has ended after ${text}`);
        if (value.type === "log") text += value.data;
      }
      return text.trim();
    };
    const host = (name: string) => join(folder, name);
    expect(await ask("os.path.exists('/work/note')")).toBe("False");
    writeFileSync(host("note"), "one");
    expect(await ask("open('/work/note').read()")).toBe("'one'");
    appendFileSync(host("note"), " two");
    expect(await ask("open('/work/note').read(), os.stat('/work/note').st_size")).toBe("('one two', 7)");
    writeFileSync(host("new"), "replaced");
    renameSync(host("new"), host("note"));
    expect(await ask("open('/work/note').read()")).toBe("'replaced'");
    rmSync(host("note"));
    expect(await ask("open('/work/note').read()")).toBe("FileNotFoundError");
    expect(await ask("open('/work/made', 'w').write('by the box')")).toBe("10");
    expect(readFileSync(host("made"), "utf8")).toBe("by the box");
    expect(lstatSync(host("made")).mode & 0o777).toBe(0o644);
    await writer.close();
    expect(await reader.wait()).toMatchObject({ exitCode: 0 });
  });

  it("never opens a FIFO of the host", { timeout: LONG_MS }, async () => {
    execFileSync("mkfifo", [join(folder, "fifo")]);
    const { stdout } = await box.exec(
      "timeout 1 cat /work/fifo; echo $?; stat -c %F /work/fifo; rm /work/fifo",
    );
    expect(stdout).toBe("124\nfifo\n");
    expect(readdirSync(folder)).not.toContain("fifo");
  });
});

/** A program in the box that watches directories by inotify, and what Linux has told it. */
async function inotify(inBox: BoxHandle, program: string, directories: readonly string[]) {
  const execution = await inBox.execStream(["python3", program, ...directories]);
  const lines: string[] = [];
  let rest = "";
  const reading = (async () => {
    for await (const event of execution) {
      if (event.type !== "log") continue;
      const parts = (rest + event.data).split("\n");
      rest = parts.pop()!;
      lines.push(...parts);
    }
  })();
  const until = (line: string, change: () => unknown = () => {}) => {
    const changed = async () => {
      await change();
      return lines;
    };
    return expect.poll(changed, { timeout: LONG_MS / 4 }).toContain(line);
  };
  await until("ready");
  return {
    lines,
    /** Changes something again and again until it is told of: directories are found one after the other. */
    until,
    async [Symbol.asyncDispose]() {
      await execution.kill();
      await reading;
    },
  };
}

describe("what others change in a volume", () => {
  it("is told to programs that use inotify, and their own changes once", { timeout: LONG_MS }, async () => {
    const at = (...names: string[]) => join(folder, "told", ...names);
    await box.exec("mkdir -p /work/told/sub", { check: true });
    writeFileSync(at("file"), "old");
    writeFileSync(at("sub/gone"), "");
    utimesSync(at("file"), 1.25, 1_000_000.75);
    await using program = await inotify(box, "/programs/inotify.py", ["/work/told", "/work/told/sub"]);
    const sentinel = async (name: string) => {
      const changed = () => appendFileSync(at("sub", name), "x");
      await program.until(`modify /work/told/sub/${name}`, changed);
    };
    await sentinel("first");
    appendFileSync(at("file"), "more");
    utimesSync(at("file"), 1.25, 2_000_000.75);
    await program.until("modify /work/told/file");
    rmSync(at("sub/gone"));
    await program.until("modify /work/told/sub");
    writeFileSync(at("sub/new"), "");
    await program.until("modify /work/told/sub/new");
    await box.files.write("/work/told/written", "by the program");
    await program.until("modify /work/told/written");
    await box.exec("cd /work/told && echo 1 > own && mkdir dir && mv own dir/own && rm -r dir", {
      check: true,
    });
    await sentinel("last");
    expect(program.lines.filter((line) => /\/(own|dir)$/.test(line))).toEqual([
      "create /work/told/own",
      "modify /work/told/own",
      "create /work/told/dir",
      "from /work/told/own",
      "delete /work/told/dir",
    ]);
    // Nothing of it has come back to the host.
    expect(statSync(at("file"))).toMatchObject({ mtimeMs: 2_000_000_750, size: 7 });
    expect(program.lines.filter((line) => line === "modify /work/told/file").length).toBeLessThanOrEqual(2);
  });

  it("is told in a volume that the box cannot write, and behind what hides it", {
    timeout: LONG_MS,
  }, async () => {
    const shown = mkdtempSync(join(tmpdir(), "boxrun-volume-"));
    mkdirSync(join(shown, "dir"));
    writeFileSync(join(shown, "dir/file"), "old");
    utimesSync(join(shown, "dir/file"), 1.25, 1_000_000.75);
    writeFileSync(join(shown, "inotify.py"), readFileSync(join(PROGRAMS, "inotify.py")));
    const volumes = [{ hostPath: shown, guestPath: "/shown", readonly: true }];
    await using reader = await client.create("debian", { memoryMb: 256, volumes });
    await using program = await inotify(reader, "/shown/inotify.py", ["/shown/dir"]);
    await program.until("modify /shown/dir/file", () => appendFileSync(join(shown, "dir/file"), "x"));
    utimesSync(join(shown, "dir/file"), 1.25, 1_000_000.75);
    await program.until("modify /shown/dir/new", () => writeFileSync(join(shown, "dir/new"), ""));
    const { stdout } = await reader.exec(
      "stat -c %Y /shown/dir/file; touch /shown/dir/file 2>&1; mount --bind /tmp /shown/dir",
    );
    expect(stdout).toContain("1000000\n");
    expect(stdout).toContain("Read-only file system");
    expect(statSync(join(shown, "dir/file")).mtimeMs).toBe(1_000_000_750);
    await program.until("modify /shown/dir/last", () => writeFileSync(join(shown, "dir/last"), ""));
    rmSync(shown, { recursive: true });
  });

  it("is printed by tail -f, which waits for inotify alone", { timeout: LONG_MS }, async () => {
    writeFileSync(join(folder, "log"), "first\n");
    const execution = await box.execStream(["tail", "-f", "/work/log"]);
    let printed = "";
    for await (const event of execution) {
      if (event.type !== "log") continue;
      printed += event.data;
      if (printed === "first\n") appendFileSync(join(folder, "log"), "by the host\n");
      if (printed === "first\nby the host\n") await execution.kill();
    }
    expect(printed).toBe("first\nby the host\n");
  });

  it("is told of volumes in memory, by the box that has not made the change", {
    timeout: LONG_MS,
  }, async () => {
    const source = memoryVolume({
      "/dir/file": "old",
      "/inotify.py": readFileSync(join(PROGRAMS, "inotify.py")),
    });
    const volumes = [{ source, guestPath: "/shared" }];
    await using reader = await client.create("debian", { memoryMb: 256, volumes });
    await using writer = await client.create("tiny", { memoryMb: 256, volumes });
    await using program = await inotify(reader, "/shared/inotify.py", ["/shared/dir"]);
    await source.files.write("/dir/file", "new");
    await program.until("modify /shared/dir/file");
    await writer.exec("echo x > /shared/dir/other", { check: true });
    await program.until("modify /shared/dir/other");
    await reader.exec("echo x > /shared/dir/own", { check: true });
    await writer.exec("rm /shared/dir/other", { check: true });
    await program.until("modify /shared/dir");
    expect(program.lines.filter((line) => line.endsWith("/own"))).toEqual([
      "create /shared/dir/own",
      "modify /shared/dir/own",
    ]);
  });
});

describe("a directory that goes away", () => {
  it("is missing in the box, which lives, and at its next start", { timeout: LONG_MS }, async () => {
    const [gone, stays] = [1, 2].map(() => mkdtempSync(join(tmpdir(), "boxrun-volume-")));
    await using other = await client.create("tiny", {
      memoryMb: 256,
      volumes: [
        { hostPath: gone!, guestPath: "/gone" },
        { hostPath: stays!, guestPath: "/stays" },
      ],
    });
    rmSync(gone!, { recursive: true });
    const { stdout } = await other.exec(
      "echo x > /gone/file; ls /gone/file; echo y > /stays/file && cat /stays/file",
      {
        stderr: "stdout",
      },
    );
    expect(stdout).toMatch(/\/gone\/file: No such file or directory[\s\S]*y\n$/);
    await other.stop();
    await expect(other.start()).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    mkdirSync(gone!);
    await other.start();
    expect((await other.exec("ls -d /gone && cat /stays/file")).stdout).toBe("/gone\ny\n");
    for (const path of [gone!, stays!]) rmSync(path, { recursive: true });
  });
});
