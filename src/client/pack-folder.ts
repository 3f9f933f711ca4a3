import { createTarPacker, type TarHeader } from "modern-tar";
import { invalid, isBoxRunError } from "../backend/errors.js";
import { host, localError, type NodeFiles, type Stat, unlessAbsent } from "./host.js";
import { openSource, Source, streamOf } from "./host-io.js";

/** Longest name, in bytes, that every `tar` reads from the header itself. */
const MAX_NAME_BYTES = 100;

/**
 * Streams a directory of this machine as a tar archive, which is produced while it is read. Links are packed as links, and several names of one file as hard
 * links. FIFOs, sockets and devices are left out, and so is what is removed meanwhile. The owner of everything is root.
 */
export function packFolder(path: string): ReadableStream<Uint8Array> {
  const { files } = host("upload by path needs a file system", "in a page, pass a Blob or bytes");
  const { readable, controller } = createTarPacker();
  const packing = new Packing(files, controller);
  packing.directory(path, "").then(
    () => controller.finalize(),
    // The reader gets the error, unless it has gone already.
    (error) => controller.error(isBoxRunError(error) ? error : localError("read", path, error)),
  );
  return readable;
}

class Packing {
  /** Names in the archive of files that have several, by device and inode. */
  private readonly linked = new Map<string, string>();

  constructor(
    private readonly files: NodeFiles,
    private readonly archive: ReturnType<typeof createTarPacker>["controller"],
  ) {}

  /** Packs what is in a directory. `inside` is what its names in the archive begin with. */
  async directory(path: string, inside: string): Promise<void> {
    const names = await this.files.readdir(path).catch((cause) => {
      throw localError("read", path, cause);
    });
    for (const name of names.sort()) await this.entry(`${path}/${name}`, inside + name);
  }

  private async entry(path: string, name: string): Promise<void> {
    const stat = await unlessAbsent(this.files.lstat(path));
    if (!stat) {
      if (name.includes("\ufffd"))
        throw invalid(`cannot read ${path} on this machine: its name is not UTF-8`);
      return;
    }
    const { mtime } = stat;
    const header = { name, mtime, mode: stat.mode & 0o777, uid: 0, gid: 0, size: 0 };
    if (stat.isDirectory()) {
      await this.add({ ...header, name: `${name}/`, type: "directory" });
      await this.directory(path, `${name}/`);
    } else if (stat.isSymbolicLink()) {
      const linkname = await this.files.readlink(path);
      await this.add({ ...header, type: "symlink", linkname });
    } else if (stat.isFile()) {
      const first = await this.firstName(path, name, stat);
      if (first === undefined) await this.file(path, header);
      else await this.add({ ...header, type: "link", linkname: first });
    }
  }

  /** Returns the name under which a file is in the archive already. */
  private async firstName(path: string, name: string, { nlink }: Stat): Promise<string | undefined> {
    if (nlink < 2) return undefined;
    const { dev, ino } = await this.files.lstat(path, { bigint: true });
    const first = this.linked.get(`${dev}:${ino}`);
    if (first === undefined) this.linked.set(`${dev}:${ino}`, name);
    return first;
  }

  private async file(path: string, header: TarHeader): Promise<void> {
    const { handle, stat } = await openSource(this.files, path);
    const source = new Source(streamOf(handle, path));
    try {
      const body = await this.begin({ ...header, type: "file", size: stat.size });
      let left = stat.size;
      while (left > 0) {
        const chunk = await source.next();
        if (!chunk) throw invalid(`cannot read ${path} on this machine: it became shorter meanwhile`);
        // What is written to it meanwhile is left out.
        await body.write(chunk.subarray(0, left));
        left -= Math.min(left, chunk.byteLength);
      }
      await body.close();
    } finally {
      await source.cancel();
    }
  }

  private async add(header: TarHeader): Promise<void> {
    await (await this.begin(header)).close();
  }

  /** Begins an entry. Long names come before it, in the form that every `tar` reads. */
  private async begin(header: TarHeader): Promise<WritableStreamDefaultWriter<Uint8Array>> {
    const name = await this.short(header.name, "gnu-long-name");
    const linkname =
      header.linkname === undefined ? undefined : await this.short(header.linkname, "gnu-long-link-name");
    const short = { ...header, name, ...(linkname !== undefined && { linkname }) };
    return this.archive.add(short).getWriter();
  }

  private async short(name: string, type: "gnu-long-name" | "gnu-long-link-name"): Promise<string> {
    const bytes = new TextEncoder().encode(`${name}\0`);
    if (bytes.byteLength <= MAX_NAME_BYTES) return name;
    const before = this.archive.add({ name: "././@LongLink", type, size: bytes.byteLength, mode: 0 });
    const writer = before.getWriter();
    await writer.write(bytes);
    await writer.close();
    // A name that has no meaning, and no character that could be cut in two.
    return "long";
  }
}
