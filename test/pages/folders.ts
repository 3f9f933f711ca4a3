import { type BoxHandle, BoxRunClient } from "boxrun";

/** What a page does with a folder of its own that is a volume of a box: each step returns what it saw, and what it should have seen is beside it. */
type Step = (page: FolderPage) => Promise<[seen: unknown, expected: unknown]>;

/** A page with a folder, a box that has it as /work, and one that may only read it. */
class FolderPage {
  private constructor(
    readonly folder: FileSystemDirectoryHandle,
    readonly client: BoxRunClient,
    readonly box: BoxHandle,
  ) {}

  static async open(): Promise<FolderPage> {
    const root = await navigator.storage.getDirectory();
    await root.removeEntry("test", { recursive: true }).catch(() => {});
    const folder = await root.getDirectoryHandle("test", { create: true });
    await put(folder, "src/main.sh", "echo hello");
    await put(folder, "large", "x".repeat(300_000));
    const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
    const volumes = [{ source: folder, guestPath: "/work" }];
    const box = await client.create("tiny", { memoryMb: 256, workdir: "/work", volumes });
    return new FolderPage(folder, client, box);
  }

  /** Runs a command in the box, and returns what it printed. */
  async run(command: string): Promise<string> {
    const { stdout, stderr } = await this.box.exec(command);
    return stdout + stderr;
  }

  /** Waits until something in the folder or in the box is as expected. */
  async until<T>(look: () => Promise<T>, expected: T): Promise<[T, T]> {
    const endMs = performance.now() + 60_000;
    for (;;) {
      const seen = await look();
      if (JSON.stringify(seen) === JSON.stringify(expected) || performance.now() > endMs)
        return [seen, expected];
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Writes a file of a folder, as a page does. */
async function put(folder: FileSystemDirectoryHandle, path: string, text: string): Promise<void> {
  const names = path.split("/");
  const name = names.pop()!;
  let at = folder;
  for (const above of names) at = await at.getDirectoryHandle(above, { create: true });
  const writer = await (await at.getFileHandle(name, { create: true })).createWritable();
  await writer.write(text);
  await writer.close();
}

/** Reads a file of a folder; "none" when there is none. */
async function read(folder: FileSystemDirectoryHandle, path: string): Promise<string> {
  try {
    const names = path.split("/");
    const name = names.pop()!;
    let at = folder;
    for (const above of names) at = await at.getDirectoryHandle(above);
    return await (await (await at.getFileHandle(name)).getFile()).text();
  } catch {
    return "none";
  }
}

async function count(folder: FileSystemDirectoryHandle): Promise<number> {
  let files = 0;
  for await (const [, entry] of folder.entries())
    files += entry.kind === "file" ? 1 : await count(entry as FileSystemDirectoryHandle);
  return files;
}

const TREE =
  "mkdir -p tree && cd tree && for d in 1 2 3 4 5 6 7 8 9 10; do mkdir d$d; for f in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo $d/$f > d$d/f$f.lock && mv d$d/f$f.lock d$d/f$f; done; done";

const STEPS: Readonly<Record<string, Step>> = {
  "reads files": async (page) => [
    await page.run("sh src/main.sh; wc -c < large; ls -F"),
    "hello\n300000\nlarge*\nsrc/\n",
  ],
  "runs a program of the folder": async (page) => [await page.run("stat -c %a src/main.sh"), "755\n"],
  "has written a file when its fsync is done": async (page) => [
    [await page.run("echo one > a; echo two > src/b; sync a; fsync src/b"), await read(page.folder, "src/b")],
    ["", "two\n"],
  ],
  "writes a file soon after it was closed": async (page) => {
    await page.run("printf Y | dd of=large bs=1 seek=1 conv=notrunc 2> /dev/null");
    return page.until(async () => (await read(page.folder, "large")).slice(0, 3), "xYx");
  },
  "renames and removes": async (page) => {
    await page.run("mv src moved && rm a && mkdir empty");
    return page.until(
      async () => [
        await read(page.folder, "moved/main.sh"),
        await read(page.folder, "src/main.sh"),
        await read(page.folder, "a"),
      ],
      ["echo hello", "none", "none"],
    );
  },
  "packs and unpacks": async (page) => [
    await page.run(
      "tar cf /tmp/t.tar moved large && mkdir out && tar xf /tmp/t.tar -C out && diff -r moved out/moved && cmp large out/large",
    ),
    "",
  ],
  "refuses links": async (page) => [
    /not permitted/.test(await page.run("ln -s large link")) &&
      /not permitted/.test(await page.run("ln large link")),
    true,
  ],
  "has files of box.files": async (page) => {
    await page.box.files.write("/work/by/files", "written");
    return page.until(() => read(page.folder, "by/files"), "written");
  },
  "writes a tree of 200 files": async (page) => {
    await page.run(TREE);
    const tree = () => page.folder.getDirectoryHandle("tree").then(count, () => 0);
    return page.until(tree, 200);
  },
  "sees what the page edits, adds and removes": async (page) => {
    await put(page.folder, "moved/main.sh", "echo edited");
    await put(page.folder, "new/deep/file", "new");
    await page.folder.removeEntry("tree", { recursive: true });
    return page.until(
      () => page.run("sh moved/main.sh; cat new/deep/file; ls -d tree"),
      "edited\nnewls: tree: No such file or directory\n",
    );
  },
  "tells of what the page changes": async (page) => {
    const watch = page.box.files.watch("/work/moved");
    const next = watch.next();
    // It may be too early for the first ones.
    let edits = 0;
    const edit = setInterval(() => put(page.folder, "moved/main.sh", `edit ${++edits}`), 500);
    const { value } = await next;
    clearInterval(edit);
    await watch.return?.();
    return [
      [value?.type, value?.path],
      ["changed", "/work/moved/main.sh"],
    ];
  },
  "keeps what the box has not written when the page changes the same file": async (page) => {
    const { stdout } = await page.box.exec("exec 3> moved/main.sh; echo mine >&3; cat moved/main.sh");
    await put(page.folder, "moved/b", "theirs");
    await page.until(() => page.run("cat moved/b"), "theirs");
    return [
      [stdout, ...(await page.until(() => read(page.folder, "moved/main.sh"), "mine\n"))],
      ["mine\n", "mine\n", "mine\n"],
    ];
  },
  "is read-only for a box that may only read": async (page) => {
    const volumes = [{ source: page.folder, guestPath: "/seen", readonly: true }];
    await using other = await page.client.create("tiny", { memoryMb: 256, volumes });
    const { stdout, stderr } = await other.exec("cat /seen/moved/b; echo x > /seen/x");
    return [stdout + stderr, "theirs/bin/sh: can't create /seen/x: Read-only file system\n"];
  },
  "has written everything when the box has stopped": async (page) => {
    await page.run("echo last > last; (while :; do echo x; done) > endless & sleep 0.1; kill $!");
    const { stdout } = await page.box.exec("wc -c < endless");
    await page.box.stop();
    return [
      [await read(page.folder, "last"), (await read(page.folder, "endless")).length],
      ["last\n", Number(stdout)],
    ];
  },
  "needs the folder again at each start": async (page) => {
    const refused = await page.box.start().then(
      () => "started",
      ({ code, message }) => `${code}: ${message.split(" (")[0]}`,
    );
    await page.box.start({ volumes: [{ source: page.folder, guestPath: "/work" }] });
    return [
      [refused, await page.run("cat last")],
      ['VALIDATION_ERROR: the volume at "/work" needs its source', "last\n"],
    ];
  },
};

/** What a step has seen, if that is not what it should have. */
export interface Difference {
  step: string;
  seen: unknown;
  expected: unknown;
}

/** Goes through all steps, and returns those that saw something else than they should have. */
export async function useFolder(): Promise<Difference[]> {
  const page = await FolderPage.open();
  const differences: Difference[] = [];
  try {
    for (const [step, take] of Object.entries(STEPS)) {
      const [seen, expected] = await take(page);
      if (JSON.stringify(seen) !== JSON.stringify(expected)) differences.push({ step, seen, expected });
    }
  } finally {
    await page.box.remove({ force: true });
  }
  return differences;
}
