import { createStore, del, get, promisifyRequest, set, type UseStore, values } from "idb-keyval";

/** A project, as it is kept in the browser. Its files are kept beside it, each for itself, and its box has its id as name. */
export interface ProjectRecord {
  readonly id: string;
  title: string;
  /** Name of the image of its box. */
  readonly image: string;
  readonly memoryMb: number;
  /** Command that Run starts, in the project's folder. */
  command: string;
  /** Path of the file that is open in the editor. */
  open: string;
  /** Whether its box may use the network. */
  network: boolean;
  /** Time when it was opened last, in milliseconds since 1970. */
  openedAt: number;
}

/** A file of a project, as it is kept: contents and permission bits, or no contents for a directory. */
export interface KeptFile {
  readonly data: Uint8Array | null;
  readonly mode: number;
}

/** Range of all files of a project, whose keys are arrays of its id and their paths: an array comes after every string. */
const filesOf = (id: string) => IDBKeyRange.bound([id], [id, []]);

/** The databases of a browser that keeps something. */
interface Kept {
  readonly records: UseStore;
  readonly files: UseStore;
}

/** The projects of this browser. Where it keeps nothing at all, they last as long as the page, and `isKept` is false. */
export class ProjectStore {
  private readonly unkept = new Map<string, ProjectRecord>();

  private constructor(private readonly kept: Kept | undefined) {}

  /** Opens the databases, or finds that the browser has none for this page. */
  static async open(): Promise<ProjectStore> {
    try {
      const records = createStore("boxrun-projects", "entries");
      const files = createStore("boxrun-project-files", "entries");
      await Promise.all([get("", records), get("", files)]);
      return new ProjectStore({ records, files });
    } catch {
      return new ProjectStore(undefined);
    }
  }

  get isKept(): boolean {
    return this.kept !== undefined;
  }

  /** Lists the projects, the one that was opened last first. */
  async list(): Promise<ProjectRecord[]> {
    const all = this.kept ? await values<ProjectRecord>(this.kept.records) : [...this.unkept.values()];
    return all.sort((a, b) => b.openedAt - a.openedAt);
  }

  /** Returns a project as it is now, which another tab may have changed or removed. */
  async get(id: string): Promise<ProjectRecord | undefined> {
    return this.kept ? get(id, this.kept.records) : this.unkept.get(id);
  }

  /** Keeps a project's record. */
  async save(record: ProjectRecord): Promise<void> {
    if (this.kept) await set(record.id, { ...record }, this.kept.records);
    else this.unkept.set(record.id, record);
  }

  /** Reads the files of a project, by their paths. */
  async files(id: string): Promise<Map<string, KeptFile>> {
    if (!this.kept) return new Map();
    const [keys, contents] = await this.kept.files("readonly", (files) =>
      Promise.all([
        promisifyRequest(files.getAllKeys(filesOf(id))),
        promisifyRequest(files.getAll(filesOf(id)) as IDBRequest<KeptFile[]>),
      ]),
    );
    return new Map((keys as [id: string, path: string][]).map(([, path], at) => [path, contents[at]!]));
  }

  /** Keeps changed files of a project and forgets removed ones: all of that, or nothing where there is no room. */
  async saveFiles(
    id: string,
    changed: ReadonlyMap<string, KeptFile>,
    removed: Iterable<string>,
  ): Promise<void> {
    await this.kept?.files("readwrite", (files) => {
      for (const path of removed) files.delete([id, path]);
      for (const [path, file] of changed) files.put(file, [id, path]);
      const stored = promisifyRequest(files.transaction);
      // A page that goes drops what is not committed.
      files.transaction.commit();
      return stored;
    });
  }

  /** Removes a project and its files. */
  async remove(id: string): Promise<void> {
    this.unkept.delete(id);
    if (!this.kept) return;
    await this.kept.files("readwrite", (files) => promisifyRequest(files.delete(filesOf(id))));
    await del(id, this.kept.records);
  }
}
