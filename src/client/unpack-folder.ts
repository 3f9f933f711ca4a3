import { createTarDecoder, type ParsedTarEntry, type TarHeader } from "modern-tar";
import { BoxRunError, invalid, isBoxRunError } from "../backend/errors.js";
import { untilAborted } from "../util/abort.js";
import { makeFolders } from "../util/make-folders.js";
import { host, localError, type NodeFiles, type NodePath, requireName, unlessAbsent } from "./host.js";
import { resemble, Source, writeChunk } from "./host-io.js";

/** Most characters of names that are kept until the end, which a box must not make endless. */
const MAX_KEPT = 64 * 2 ** 20;
/** Bytes of memory that a name takes beside its characters. */
const NAME_OVERHEAD = 100;
/** Names that Windows understands in ways of its own. */
const NOT_ON_WINDOWS = /[\\:*?"<>|]|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/**
 * Writes a tar archive that a box has made to a directory of this machine, which is created if it does not exist, and keeps what else is in it. The box is not
 * trusted: nothing is written outside of the directory, and no link in it is followed, whether the archive or somebody else made it. Links are created when all
 * else is there. FIFOs, sockets and devices are left out, and files belong to the caller.
 */
export async function unpackFolder(
  path: string,
  archive: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const source = new Source(archive);
  const decoder = createTarDecoder({ strict: true });
  const entries = decoder.readable.getReader();
  try {
    const { files, paths } = host("download to a path needs a file system", "in a page, use blob()");
    requireName(path);
    await untilAborted(requireNoFile(path, files), signal);
    const pumping = pump(source, decoder.writable.getWriter());
    pumping.catch(() => {});
    const unpack = async () => {
      // Not made before the box has sent something: for what is not there, nothing is made here.
      const begin = async () => new Unpacking(await rootOf(path, files, paths), files, paths, signal);
      let tree: Unpacking | undefined;
      for (let next = await entries.read(); !next.done; next = await entries.read()) {
        tree ??= await begin();
        await tree.place(next.value);
      }
      // A box may find out at the end that it could not read everything.
      await pumping;
      tree ??= await begin();
      await tree.finish();
    };
    await untilAborted(unpack(), signal);
  } catch (cause) {
    await source.cancel();
    entries.cancel(cause).catch(() => {});
    if (signal?.aborted) throw signal.reason;
    throw source.failure ?? toldAs(cause, path);
  }
}

async function requireNoFile(path: string, files: NodeFiles): Promise<void> {
  const found = await unlessAbsent(files.stat(path));
  if (found && !found.isDirectory())
    throw invalid(`cannot write ${path} on this machine: it is not a directory`);
}

async function rootOf(path: string, files: NodeFiles, paths: NodePath): Promise<string> {
  await makeFolders(path, files, paths.dirname);
  const root = await files.realpath(path);
  await requireNoFile(root, files);
  return root;
}

async function pump(source: Source, writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
  try {
    for (let chunk = await source.next(); chunk; chunk = await source.next()) await writer.write(chunk);
    await writer.close();
  } catch (error) {
    // Not aborted, which would drop the files that have come before the error.
    await writer.close().catch(() => {});
    throw error;
  }
}

/** Tells an error of this machine from one of the archive. */
function toldAs(cause: unknown, path: string): BoxRunError {
  if (isBoxRunError(cause)) return cause;
  if (typeof (cause as { code?: unknown })?.code === "string") return localError("write", path, cause);
  return lies(cause instanceof Error ? cause.message : String(cause), cause);
}

function lies(why: string, cause?: unknown): BoxRunError {
  return new BoxRunError("PROTOCOL_ERROR", `the archive from the box is not in order: ${why}`, { cause });
}

class Unpacking {
  /** Directories that are known to be real ones, with the permission bits that those made here are to have. */
  private readonly folders = new Map<string, number | undefined>([["", undefined]]);
  /** Targets of links by their names, created at the end. */
  private readonly links = new Map<string, string>();
  private kept = 0;

  constructor(
    private readonly root: string,
    private readonly files: NodeFiles,
    private readonly paths: NodePath,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async place({ header, body }: ParsedTarEntry): Promise<void> {
    this.signal?.throwIfAborted();
    const name = this.nameOf(header.name);
    if (header.type === "file") return this.file(name, header, body);
    await body.cancel();
    if (header.type === "directory") await this.folder(name, (header.mode ?? 0o755) & 0o777);
    else if (header.type === "symlink") {
      await this.folder(above(name));
      this.keep(name, header.linkname ?? "");
    } else if (header.type === "link") await this.hardLink(name, this.nameOf(header.linkname ?? ""));
  }

  /** Creates the links, and gives directories their permission bits, the deepest first. */
  async finish(): Promise<void> {
    for (const [name, to] of this.links) {
      this.signal?.throwIfAborted();
      await this.put(name, (partial) => this.files.symlink(to, partial));
    }
    for (const [name, mode] of [...this.folders].reverse()) {
      // Those that their owner cannot use had to be open meanwhile. The others have what the umask left them.
      if (mode === undefined || (mode & 0o700) === 0o700) continue;
      const { mode: now } = await this.files.lstat(this.pathOf(name));
      await this.files.chmod(this.pathOf(name), now & mode);
    }
  }

  private async file(name: string, header: TarHeader, body: ReadableStream<Uint8Array>): Promise<void> {
    await this.folder(above(name));
    this.links.delete(name);
    await this.put(name, async (partial, found) => {
      const handle = await this.files.open(partial, "wx", found ? 0o600 : (header.mode ?? 0o644) & 0o777);
      try {
        const reader = body.getReader();
        for (let next = await reader.read(); !next.done; next = await reader.read())
          await writeChunk(handle, next.value, this.signal);
        if (found) await resemble(handle, { ...found, mode: found.mode & 0o777 });
      } finally {
        await handle.close();
      }
      const { mtime } = header;
      if (mtime && !Number.isNaN(mtime.getTime())) await this.files.utimes(partial, mtime, mtime);
    });
  }

  private async hardLink(name: string, to: string): Promise<void> {
    await this.folder(above(name));
    const link = this.links.get(to);
    if (link !== undefined) return this.keep(name, link);
    const isHere =
      this.folders.has(above(to)) && (await unlessAbsent(this.files.lstat(this.pathOf(to))))?.isFile();
    if (!isHere) throw lies(`${show(name)} is a hard link to ${show(to)}, which is no file in it`);
    this.links.delete(name);
    await this.put(name, (partial) => this.files.link(this.pathOf(to), partial));
  }

  /** Creates something under a name of its own, then gives it its name, which a directory must not have. */
  private async put(
    name: string,
    create: (partial: string, found: { mode: number; uid: number; gid: number } | undefined) => Promise<void>,
  ): Promise<void> {
    const path = this.pathOf(name);
    const found = await unlessAbsent(this.files.lstat(path));
    if (found?.isDirectory())
      throw invalid(`cannot write ${path} on this machine: it is a directory, and none in the box`);
    const partial = `${this.pathOf(above(name))}/.boxrun-${crypto.randomUUID()}.part`;
    try {
      await create(
        partial,
        found?.isFile() ? { mode: found.mode, uid: found.uid, gid: found.gid } : undefined,
      );
      this.signal?.throwIfAborted();
      await this.files.rename(partial, path);
    } catch (error) {
      const { code } = error as { code?: unknown };
      throw typeof code === "string" && !isBoxRunError(error) ? localError("write", path, error) : error;
    } finally {
      // Gone after a rename, unless both were names of one file.
      await this.files.rm(partial, { force: true }).catch(() => {});
    }
  }

  /** Makes sure that a name is that of a directory, and of no link to one. */
  private async folder(name: string, mode?: number): Promise<void> {
    if (this.folders.has(name)) return;
    await this.folder(above(name));
    const path = this.pathOf(name);
    const found = await unlessAbsent(this.files.lstat(path));
    if (found && !found.isDirectory())
      throw invalid(
        `cannot write ${path} on this machine: it is not a directory, as in the box`,
        found.isSymbolicLink() ? "links in the target are not followed" : "remove it first",
      );
    if (!found)
      await this.files.mkdir(path, { mode: (mode ?? 0o777) | 0o700 }).catch((cause) => {
        throw localError("write", path, cause);
      });
    this.remember(name.length);
    this.folders.set(name, found ? undefined : mode);
  }

  private keep(name: string, to: string): void {
    if (to === "" || to.includes("\0")) throw lies(`${show(name)} is a link to nothing`);
    this.remember(name.length + to.length);
    this.links.set(name, to);
  }

  private remember(length: number): void {
    this.kept += length + NAME_OVERHEAD;
    if (this.kept > MAX_KEPT) throw lies("it has too many directories and links");
  }

  /** Returns a name in the archive without what changes nothing. Throws when it leads out of the directory. */
  private nameOf(given: string): string {
    const parts = given.split("/").filter((part) => part !== "" && part !== ".");
    if (given.startsWith("/") || given.includes("\0") || parts.includes(".."))
      throw lies(`the name ${show(given)} leads out of the directory`);
    if (given.includes("\ufffd"))
      throw new BoxRunError("RUNTIME_ERROR", `the name ${show(given)} in the box is not UTF-8`, {
        hint: "files.pack gives an archive with any names",
      });
    const odd = this.paths.sep === "\\" && parts.find((part) => NOT_ON_WINDOWS.test(part));
    if (odd) throw invalid(`this machine cannot have a file named ${show(odd)}, as the box does`);
    return parts.join("/");
  }

  private pathOf(name: string): string {
    return name === "" ? this.root : `${this.root}/${name}`;
  }
}

/** Returns the name of the directory above; that of the archive itself is empty. */
function above(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
}

function show(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}
