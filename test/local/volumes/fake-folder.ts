import type { FileHandle, FolderHandle } from "../../../src/local/volumes/folder-handles.js";

/** A file of a fake folder. */
interface FakeFile {
  bytes: Uint8Array;
  modifiedMs: number;
}

export type FakeEntry = FakeFile | FakeFolder;

/** Calls of the browser that are counted, and that can be made to fail. */
export type FakeCall = "entries" | "getFile" | "createWritable" | "write" | "removeEntry" | "create";

const refusal = (name: string) => Object.assign(new Error(`refused: ${name}`), { name });

/** A folder as a page has it, in memory: its entries are the files that "the disk" has. */
export class FakeFolder {
  readonly entries = new Map<string, FakeEntry>();

  constructor(private readonly root?: FakeFolder) {}

  /** Numbers of calls, of the root. */
  readonly calls: Partial<Record<FakeCall, number>> = {};
  /** Called before each call, by its name and that of the entry, to throw an error; of the root. */
  onCall: (call: FakeCall, name: string) => unknown = () => undefined;

  /** Whether the system does not tell `a` from `A`; of the root. */
  isFolding = false;

  /** Returns the name that the disk has of an entry. */
  nameOf(name: string): string {
    if (!(this.root ?? this).isFolding) return name;
    return [...this.entries.keys()].find((other) => other.toLowerCase() === name.toLowerCase()) ?? name;
  }

  /** Counts a call, and fails it if the test wants it to. */
  async note(call: FakeCall, name: string): Promise<void> {
    const top = this.root ?? this;
    top.calls[call] = (top.calls[call] ?? 0) + 1;
    const refused = await top.onCall(call, name);
    if (typeof refused === "string") throw refusal(refused);
  }

  /** Puts a file on the disk, as another program does. */
  put(path: string, text: string): void {
    const names = path.split("/");
    const last = names.pop()!;
    let at: FakeFolder = this;
    for (const name of names) at = at.folder(name);
    at.entries.set(last, { bytes: new TextEncoder().encode(text), modifiedMs: nextTime() });
  }

  /** Lists what the disk has: the texts of files by their paths, and null for empty directories. */
  list(above = ""): Record<string, string | null> {
    const found: Record<string, string | null> = {};
    for (const [name, entry] of this.entries) {
      if (!(entry instanceof FakeFolder)) found[above + name] = new TextDecoder().decode(entry.bytes);
      else if (entry.entries.size === 0) found[above + name] = null;
      else Object.assign(found, entry.list(`${above}${name}/`));
    }
    return found;
  }

  handle(name = "picked"): FolderHandle {
    return new FakeFolderHandle(this, name) as FolderHandle;
  }

  folder(name: string): FakeFolder {
    const entry = this.entries.get(name);
    if (entry instanceof FakeFolder) return entry;
    const made = new FakeFolder(this.root ?? this);
    this.entries.set(name, made);
    return made;
  }
}

let time = 1_700_000_000_000;
const nextTime = () => ++time;

class FakeFolderHandle {
  readonly kind = "directory";

  constructor(
    private readonly folder: FakeFolder,
    readonly name: string,
  ) {}

  async *entries() {
    await this.folder.note("entries", this.name);
    for (const [name, entry] of this.folder.entries) yield [name, this.handleOf(name, entry)] as const;
  }

  async getFileHandle(name: string, { create = false } = {}): Promise<FileHandle> {
    if (create) await this.folder.note("create", name);
    const entry = this.folder.entries.get(this.folder.nameOf(name));
    if (entry instanceof FakeFolder) throw refusal("TypeMismatchError");
    if (!entry && !create) throw refusal("NotFoundError");
    if (!entry)
      this.folder.entries.set(this.folder.nameOf(name), { bytes: new Uint8Array(0), modifiedMs: nextTime() });
    return new FakeFileHandle(this.folder, name) as FileHandle;
  }

  async getDirectoryHandle(name: string, { create = false } = {}): Promise<FolderHandle> {
    if (create) await this.folder.note("create", name);
    const entry = this.folder.entries.get(this.folder.nameOf(name));
    if (entry && !(entry instanceof FakeFolder)) throw refusal("TypeMismatchError");
    if (!entry && !create) throw refusal("NotFoundError");
    return new FakeFolderHandle(this.folder.folder(this.folder.nameOf(name)), name) as FolderHandle;
  }

  async removeEntry(name: string): Promise<void> {
    await this.folder.note("removeEntry", name);
    const entry = this.folder.entries.get(this.folder.nameOf(name));
    if (!entry) throw refusal("NotFoundError");
    if (entry instanceof FakeFolder && entry.entries.size > 0) throw refusal("InvalidModificationError");
    this.folder.entries.delete(this.folder.nameOf(name));
  }

  async isSameEntry(other: unknown): Promise<boolean> {
    return other instanceof FakeFolderHandle && other.folder === this.folder;
  }

  private handleOf(name: string, entry: FakeEntry): FileHandle | FolderHandle {
    if (entry instanceof FakeFolder) return new FakeFolderHandle(entry, name) as FolderHandle;
    return new FakeFileHandle(this.folder, name) as FileHandle;
  }
}

class FakeFileHandle {
  readonly kind = "file";

  constructor(
    private readonly folder: FakeFolder,
    readonly name: string,
  ) {}

  async getFile() {
    await this.folder.note("getFile", this.name);
    const file = this.file();
    const { bytes, modifiedMs: lastModified } = file;
    const slice = (start: number, end: number) => ({
      arrayBuffer: async () => {
        if (this.file().modifiedMs !== lastModified) throw refusal("NotReadableError");
        return bytes.slice(start, end).buffer as ArrayBuffer;
      },
    });
    return { size: bytes.byteLength, lastModified, slice };
  }

  async createWritable() {
    await this.folder.note("createWritable", this.name);
    this.file();
    const pieces: Uint8Array[] = [];
    return {
      write: async (bytes: Uint8Array) => {
        await this.folder.note("write", this.name);
        pieces.push(bytes.slice());
      },
      close: async () => {
        this.folder.entries.set(this.folder.nameOf(this.name), {
          bytes: new Uint8Array(Buffer.concat(pieces)),
          modifiedMs: nextTime(),
        });
      },
      abort: async () => {},
    };
  }

  private file(): FakeFile {
    const entry = this.folder.entries.get(this.folder.nameOf(this.name));
    if (!entry || entry instanceof FakeFolder) throw refusal("NotFoundError");
    return entry;
  }
}
