import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BoxRunError } from "../backend/errors.js";

/** Files to write by their path below the folder: copies of other files, or texts. Each stands after those that it names. */
export type FolderFiles = ReadonlyMap<string, URL | string>;

/** Pattern of a path that a command may have written: none that leads out of the folder. */
const OWN_PATH = /^(?:[A-Za-z0-9][\w.-]*\/)*[A-Za-z0-9][\w.-]*$/;

/** A folder that a command fills. A file in it, the record, lists what was written, so that a later run replaces and removes that, and nothing else. */
export class RecordedFolder {
  private constructor(
    private readonly folder: string,
    private readonly record: string,
    private readonly files: FolderFiles,
    private readonly before: ReadonlySet<string>,
  ) {}

  /**
   * Prepares to write files into a folder, and changes nothing yet.
   *
   * @param record name of the record, such as ".boxrun-assets"
   * @throws {BoxRunError} VALIDATION_ERROR when a file of somebody else is where one is to be written
   */
  static async open(folder: string, record: string, files: FolderFiles): Promise<RecordedFolder> {
    return explained(folder, async () => {
      const text = (await readIfThere(join(folder, record)))?.toString() ?? "";
      const before = new Set(text.split("\n").filter((path) => OWN_PATH.test(path)));
      for (const [path, source] of files) {
        if (before.has(path)) continue;
        const there = await readIfThere(join(folder, path));
        if (there && !there.equals(await contentsOf(source))) throw notOurs(join(folder, path));
      }
      return new RecordedFolder(folder, record, files, before);
    });
  }

  /** Writes the files, and removes those of an earlier run that are not among them. Returns the number of removed files. */
  async write(): Promise<number> {
    const { folder, record, files, before } = this;
    return explained(folder, async () => {
      await mkdir(folder, { recursive: true });
      // What a run that is broken off has written is known to the next.
      await replace(join(folder, record), listOf([...before, ...files.keys()]));
      for (const [path, source] of files) await put(join(folder, path), await contentsOf(source));
      const stale = [...before].filter((path) => !files.has(path));
      for (const path of stale) await rm(join(folder, path), { force: true });
      await replace(join(folder, record), listOf(files.keys()));
      return stale.length;
    });
  }
}

const listOf = (paths: Iterable<string>) => `${[...new Set(paths)].join("\n")}\n`;

const contentsOf = async (source: URL | string) =>
  typeof source === "string" ? Buffer.from(source) : readFile(source);

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes a file, unless it is there. One that is damaged is replaced. */
async function put(path: string, contents: Buffer): Promise<void> {
  if ((await readIfThere(path))?.equals(contents)) return;
  await mkdir(dirname(path), { recursive: true });
  await replace(path, contents);
}

/** Puts a file in place in one step: a page that is open meanwhile never sees half of it. */
async function replace(path: string, contents: string | Uint8Array): Promise<void> {
  const draft = `${path}.${crypto.randomUUID()}`;
  try {
    await writeFile(draft, contents);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

function notOurs(path: string): BoxRunError {
  return new BoxRunError("VALIDATION_ERROR", `will not overwrite ${path}, which boxrun has not written`, {
    hint: "name another folder, or move that file away",
  });
}

/** Adds the folder to the system's own errors, whose messages may name a file in it or above it. */
async function explained<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error) || !("syscall" in error)) throw error;
    throw new Error(`cannot write to ${folder}: ${error.message}`, { cause: error });
  }
}
