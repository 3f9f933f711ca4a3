import { createStore, del, delMany, promisifyRequest, set, setMany, type UseStore, values } from "idb-keyval";

const RECORDS = "boxrun-projects";
/** Files of all projects, by arrays of the project's id and the file's path. */
const FILES = "boxrun-project-files";
/** Range of all files of a project: an array comes after every string. */
const filesOf = (id: string) => IDBKeyRange.bound([id], [id, []]);

/** A project, as it is kept in the browser. Its files are kept beside it, each for itself. */
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
  /** Id of its box, once it has one. */
  boxId?: string;
  /** Time when it was opened last, in milliseconds since 1970. */
  openedAt: number;
}

/** A file of a project, as it is kept: contents and permission bits, or no contents for a directory. */
export interface KeptFile {
  readonly data: Uint8Array | null;
  readonly mode: number;
}

/** The projects of this browser. Where it keeps nothing, they last as long as the page; `isKept` says which. */
export class ProjectStore {
  /** Those of a browser that keeps nothing. */
  private readonly unkept = new Map<string, ProjectRecord>();
  private readonly stores = new Map<string, UseStore>();
  isKept = true;

  /** Lists the projects, the one that was opened last first. */
  async list(): Promise<ProjectRecord[]> {
    const kept = await this.attempt(() => values<ProjectRecord>(this.store(RECORDS)));
    return [...(kept ?? []), ...this.unkept.values()].sort((a, b) => b.openedAt - a.openedAt);
  }

  /** Keeps a project's record. */
  async save(record: ProjectRecord): Promise<void> {
    await this.attempt(() => set(record.id, { ...record }, this.store(RECORDS)));
    if (!this.isKept) this.unkept.set(record.id, record);
  }

  /** Reads the files of a project, by their paths. */
  async files(id: string): Promise<Map<string, KeptFile>> {
    const kept = await this.attempt(() =>
      this.store(FILES)("readonly", (files) =>
        Promise.all([
          promisifyRequest(files.getAllKeys(filesOf(id))),
          promisifyRequest(files.getAll(filesOf(id)) as IDBRequest<KeptFile[]>),
        ]),
      ),
    );
    const [keys, contents] = kept ?? [[], []];
    return new Map((keys as [id: string, path: string][]).map(([, path], at) => [path, contents[at]!]));
  }

  /** Keeps changed files of a project, and forgets removed ones. */
  async saveFiles(id: string, changed: ReadonlyMap<string, KeptFile>, removed: string[]): Promise<void> {
    await this.attempt(async () => {
      const keyOf = (path: string) => [id, path];
      await delMany(removed.map(keyOf), this.store(FILES));
      await setMany(
        [...changed].map(([path, file]) => [keyOf(path), file]),
        this.store(FILES),
      );
    });
  }

  /** Removes a project and its files. */
  async remove(id: string): Promise<void> {
    this.unkept.delete(id);
    await this.attempt(async () => {
      await del(id, this.store(RECORDS));
      await this.store(FILES)("readwrite", (files) => promisifyRequest(files.delete(filesOf(id))));
    });
  }

  /** Database by its name. Each has one store, and a connection that lasts as long as the page. */
  private store(name: string): UseStore {
    const store = this.stores.get(name) ?? createStore(name, "entries");
    this.stores.set(name, store);
    return store;
  }

  /** Does what needs storage. A browser that refuses it keeps nothing; one that is full must not look as if it kept everything. */
  private async attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (!this.isKept) return undefined;
    try {
      return await work();
    } catch (error) {
      if (error instanceof DOMException && error.name === "QuotaExceededError") throw error;
      this.isKept = false;
      return undefined;
    }
  }
}
