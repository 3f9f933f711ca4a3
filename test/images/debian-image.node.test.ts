import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { BoxHandle } from "../../src/index.js";

/** All of an image is read and hashed in an emulated machine; a hang is still found. */
const LONG_MS = 600_000;

/** Folders of which nothing is installed but licences. */
const LEFT_OUT = readFileSync(join(ROOT, "wasm/images/debian/dpkg.cfg"), "utf8")
  .split("\n")
  .flatMap((line) => /^path-exclude=\/(.*)\*$/.exec(line)?.[1] ?? []);

/** Modules of Python's library that cannot be imported in Debian's Python on Linux either. */
const NOT_HERE = {
  "Windows, macOS, iOS": [
    ..."_ios_support _overlapped _pyrepl.windows_console _scproxy _winapi _wmi".split(" "),
    ..."asyncio.windows_events asyncio.windows_utils encodings.mbcs encodings.oem msvcrt".split(" "),
    ..."multiprocessing.popen_spawn_win32 nt winreg winsound".split(" "),
  ],
  "the packages python3-tk and python3-gdbm": "_gdbm _tkinter dbm.gnu tkinter turtle".split(" "),
};

/** Prints each file of a package that cannot be read, or whose MD5 is not the package's, and how many are right. */
const CHECK_PACKAGES = `
import glob, hashlib
right = 0
for sums in glob.glob("/var/lib/dpkg/info/*.md5sums"):
    for line in open(sums, encoding="utf-8"):
        expected, path = line.rstrip("\\n").split("  ", 1)
        try:
            with open("/" + path, "rb") as file: found = hashlib.file_digest(file, "md5").hexdigest()
        except OSError as error: print(path, error.strerror, sep="\\t")
        else:
            if found == expected: right += 1
            else: print(path, "has another MD5", sep="\\t")
print(right)
`;

/** Imports every module, those of one name in a process of their own: some end it. Prints each that fails, and how many did not. */
const IMPORT_ALL = `
import importlib, os, pkgutil, sys
def imports(name):
    try: module = importlib.import_module(name)
    except BaseException: return print(name, flush=True) or 0
    found = pkgutil.iter_modules(getattr(module, "__path__", []), name + ".")
    return 1 + sum(imports(info.name) for info in found if info.name.split(".")[-1] not in ("__main__", "test", "tests"))
total = 0
for name in sorted(sys.stdlib_module_names - {"antigravity", "this", "idlelib", "turtledemo", "test"}):
    there, here = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(here, b"%d" % imports(name))
        os._exit(0)
    os.close(here)
    if os.waitpid(child, 0)[1] != 0: print(name, "ended its process")
    total += int(os.read(there, 20) or 0)
    os.close(there)
print(total)
`;

import { ROOT } from "../root.js";

let client: BoxRunClient;
let box: BoxHandle;
beforeAll(async () => {
  client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  box = await client.create("debian");
});
afterAll(() => client?.close());

/** The lines that a program prints, and the number on its last. */
async function run(program: string): Promise<{ lines: string[]; count: number }> {
  const { stdout } = await box.exec(["python3", "-c", program], { check: true });
  const lines = stdout.trimEnd().split("\n");
  return { count: Number(lines.pop()), lines };
}

it("every file of every package is the package's", { timeout: LONG_MS }, async () => {
  const { lines, count } = await run(CHECK_PACKAGES);
  const unexpected = lines.filter(
    (line) =>
      !line.endsWith("No such file or directory") || !LEFT_OUT.some((folder) => line.startsWith(folder)),
  );
  expect(unexpected).toEqual([]);
  expect(count).toBeGreaterThan(3500);
});

it("every module of Python's library can be imported", { timeout: LONG_MS }, async () => {
  const { lines, count } = await run(IMPORT_ALL);
  expect(lines.sort()).toEqual(Object.values(NOT_HERE).flat().sort());
  expect(count).toBeGreaterThan(550);
});

it("no entry of the folders of programs is there only by name", async () => {
  const { stdout } = await box.exec("for f in /usr/bin/* /usr/sbin/*; do [ -e $f ] || echo $f; done");
  expect(stdout).toBe("");
});

it.each([
  ["jq -r .a", '{"a": [1, 2]}', "[\n  1,\n  2\n]\n"],
  ["column -t", "a bb\nccc d\n", "a    bb\nccc  d\n"],
  ["strings", "\u0001\u0002hello\u0003", "hello\n"],
  ["file -b -", "#!/bin/sh\n", "POSIX shell script, ASCII text executable\n"],
])("%s is there", async (command, stdin, stdout) => {
  expect(await box.exec(command, { stdin })).toMatchObject({ stdout, exitCode: 0 });
});

it("files and folders of a box have one device number, so that du -x finds all of them", async () => {
  const { stdout } = await box.exec(
    `mkdir /srv/d && echo x > /srv/d/new && cp /etc/passwd /srv/d/copied && touch /etc/group
    stat -c %d / /srv/d /srv/d/new /srv/d/copied /etc/passwd /etc/group /usr/bin/bash | sort -u | wc -l
    du -x --inodes /srv/d | cut -f1`,
  );
  expect(stdout).toBe("1\n3\n");
});

it("files of the image and of the box's disk never share an inode number", { timeout: LONG_MS }, async () => {
  const { stdout } = await box.exec(
    `mkdir /srv/many && cd /srv/many && seq 3000 | xargs touch
    find / -xdev -type f -links 1 -printf '%i\\n' > /tmp/numbers; wc -l < /tmp/numbers; sort /tmp/numbers | uniq -d | wc -l`,
  );
  const [files, shared] = stdout.split("\n");
  expect(Number(files)).toBeGreaterThan(5000);
  expect(shared).toBe("0");
});
