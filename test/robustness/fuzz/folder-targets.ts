import { removeAll } from "../../../src/local/volumes/folder-mirror.js";
import { FolderStore } from "../../../src/local/volumes/folder-store.js";
import type { MemoryNode } from "../../../src/local/volumes/memory-nodes.js";
import { FakeFolder } from "../../local/volumes/fake-folder.js";
import type { Random } from "../faults/random.js";
import type { Mutator } from "./mutate.js";
import { rule, type Taken, type Target } from "./target.js";

const NAMES = ["a", "A", "b", "d", "aux", Buffer.from("ä").toString("latin1")];
const READ = { read: true, write: false, truncate: false, append: false };
const REPLACE = { read: false, write: true, truncate: true, append: false, exclusive: false };
/** Refusals of a browser that may come at any call, and end again. */
const REFUSALS = ["QuotaExceededError", "NotFoundError", "NoModificationAllowedError", "NotReadableError"];
/** Number of writes after which everything is in the folder, once nothing is refused any more. */
const WRITES = 4;

/** What a volume has to have: the texts of files, and directories. */
type Model = Map<string, Model | { text: string }>;
interface Held {
  node: MemoryNode;
  file: { text: string };
}

/** A volume on a folder, to which happens what programs, the browser and its memory do, and what it has to have. */
class Session {
  readonly disk = new FakeFolder();
  readonly model: Model = new Map();
  readonly held: Held[] = [];
  readonly store: FolderStore;
  private written = 0;
  private isInside = false;

  constructor(private readonly random: Random) {
    this.disk.isFolding = random.chance(0.2);
    for (let count = random.between(0, 5); count > 0; count--) {
      const path = random.pick(["a", "b", "d/a", "d/b", "d/d/a", "aux/b"]);
      const { model, last } = this.folderOf(path.split("/"));
      const text = this.text();
      if (model.get(last) instanceof Map) continue;
      this.disk.put(path, text);
      model.set(last, { text });
    }
    this.store = new FolderStore(this.disk.handle());
  }

  /** Does something, with refusals at some calls and more changes in the middle. */
  async step(): Promise<void> {
    if (this.random.chance(0.6)) return this.change();
    const rate = this.random.pick([0, 0, 0.1, 0.5, 1]);
    this.disk.onCall = (call) => {
      if (this.random.chance(0.05)) this.change();
      const refusal = this.random.chance(rate) ? this.random.pick(REFUSALS) : undefined;
      // What is there is removed, or a browser says why not.
      return call === "removeEntry" && refusal === "NotFoundError" ? undefined : refusal;
    };
    const { mirror } = this.store;
    const look = () => this.store.exclusively(() => mirror.takeAll());
    await (this.random.chance(0.7) ? this.store.flush() : look().catch(() => {}));
    this.disk.onCall = () => undefined;
  }

  /** Changes the tree as a program does, or drops contents from memory. */
  change(): void {
    if (this.isInside) return;
    this.isInside = true;
    const { tree } = this.store.mirror;
    const parts: (() => void)[] = [
      () => this.write(),
      () => this.write(),
      () => this.remove(),
      () => this.rename(),
      () => this.rename(),
      () => this.makeFolder(),
      () => this.hold(),
      () => this.store.mirror.makeRoom(tree.limits.maxBytes),
    ];
    this.random.pick(parts)();
    this.isInside = false;
  }

  private write(): void {
    const { node, model } = this.folder();
    const name = this.random.pick(NAMES);
    const known = model.get(name);
    if (!(known instanceof Map)) {
      const text = this.text();
      const made = node.create(name, REPLACE, 0o644);
      made.file.write(new TextEncoder().encode(text), 0);
      made.file.close();
      made.node.close();
      if (known) known.text = text;
      else model.set(name, { text });
    }
    node.close();
  }

  private makeFolder(): void {
    const { node, model } = this.folder();
    const name = this.random.pick(NAMES);
    if (!model.has(name)) {
      node.makeDirectory(name, 0o755).close();
      model.set(name, new Map());
    }
    node.close();
  }

  private remove(): void {
    const { node, model } = this.folder();
    const name = this.random.pick(NAMES);
    if (model.has(name)) removeAll(node, name);
    model.delete(name);
    node.close();
  }

  private rename(): void {
    const from = this.folder();
    const to = this.folder();
    const [name, newName] = [this.random.pick(NAMES), this.random.pick(NAMES)];
    const moved = from.model.get(name);
    const replaced = to.model.get(newName);
    const fits =
      replaced === undefined ||
      (moved instanceof Map ? replaced instanceof Map && replaced.size === 0 : !(replaced instanceof Map));
    if (moved && moved !== replaced && fits && !(moved instanceof Map && hasWithin(moved, to.model))) {
      from.node.rename(name, to.node, newName);
      from.model.delete(name);
      to.model.set(newName, moved);
    }
    from.node.close();
    to.node.close();
  }

  /** Opens a file, as a program that has it open while it is removed. */
  private hold(): void {
    const { node, model } = this.folder();
    const files = [...model].filter(([, entry]) => !(entry instanceof Map));
    if (files.length > 0) {
      const [name, file] = this.random.pick(files) as [string, { text: string }];
      this.held.push({ node: node.find(name), file });
    }
    node.close();
  }

  /** Finds a directory, any. */
  private folder(): { node: MemoryNode; model: Model } {
    let node = this.store.mirror.tree.root();
    let { model } = this as { model: Model };
    for (;;) {
      const below = [...model].filter(([, entry]) => entry instanceof Map) as [string, Model][];
      if (below.length === 0 || this.random.chance(0.4)) return { node, model };
      const [name, next] = this.random.pick(below);
      const found = node.find(name);
      node.close();
      node = found;
      model = next;
    }
  }

  private folderOf(path: string[]): { model: Model; last: string } {
    let { model } = this as { model: Model };
    for (const name of path.slice(0, -1)) {
      if (!(model.get(name) instanceof Map)) model.set(name, new Map());
      model = model.get(name) as Model;
    }
    return { model, last: path.at(-1)! };
  }

  private text(): string {
    return `${++this.written}`.repeat(this.random.between(1, 20));
  }

  /** Reads a file, whose contents may be in the folder alone. */
  async read(node: MemoryNode): Promise<string> {
    const { inode, size } = node.stat();
    const { mirror } = this.store;
    if (mirror.tree.isAway(inode)) await mirror.load(inode);
    const file = node.open(READ);
    const into = new Uint8Array(size);
    file.read(into, 0);
    file.close();
    return new TextDecoder().decode(into);
  }
}

function hasWithin(model: Model, wanted: Model): boolean {
  if (model === wanted) return true;
  return [...model.values()].some((entry) => entry instanceof Map && hasWithin(entry, wanted));
}

/** Lists a model as {@link FakeFolder.list} does a folder. Names of the tree have a character for each byte. */
function listOf(model: Model, above = ""): Record<string, string | null> {
  const found: Record<string, string | null> = {};
  for (const [name, entry] of model) {
    const shown = above + Buffer.from(name, "latin1").toString();
    if (!(entry instanceof Map)) found[shown] = entry.text;
    else if (entry.size === 0) found[shown] = null;
    else Object.assign(found, listOf(entry, `${shown}/`));
  }
  return found;
}

async function treeOf(
  session: Session,
  node: MemoryNode,
  above = "",
): Promise<Record<string, string | null>> {
  const found: Record<string, string | null> = {};
  const entries = node.list();
  if (entries.length === 0 && above !== "") found[above.slice(0, -1)] = null;
  for (const { name } of entries) {
    const entry = node.find(name);
    const shown = above + Buffer.from(name, "latin1").toString();
    if (entry.kind === "directory") Object.assign(found, await treeOf(session, entry, `${shown}/`));
    else found[shown] = await session.read(entry);
    entry.close();
  }
  node.close();
  return found;
}

const sorted = (list: Record<string, string | null>) =>
  JSON.stringify(Object.entries(list).sort(([one], [other]) => (one < other ? -1 : 1)));

const folders: Target = {
  name: "a page's folder whose browser refuses",
  async run({ random }: Mutator): Promise<Taken> {
    const session = new Session(random);
    const { store, disk, model } = session;
    try {
      await store.mirror.takeAll();
      for (let steps = random.between(1, 12); steps > 0; steps--) await session.step();
      let failed = await store.flush();
      for (let times = 1; times < WRITES; times++) failed = await store.flush();
      const wanted = sorted(listOf(model));
      const names = new Set(Object.keys(listOf(model)).map((path) => path.toLowerCase()));
      const canHold = !disk.isFolding || names.size === Object.keys(listOf(model)).length;
      // Nothing is lost, wherever it is.
      const tree = sorted(await treeOf(session, store.mirror.tree.root()));
      rule(tree === wanted, `the volume has ${tree} and not ${wanted}, the folder ${sorted(disk.list())}`);
      for (const { node, file } of session.held) {
        const text = await session.read(node);
        rule(text === file.text, `a file that is open has ${text} and not ${file.text}`);
      }
      if (disk.isFolding) {
        const texts = new Set(Object.values(listOf(model)));
        for (const [path, text] of Object.entries(disk.list()))
          rule(texts.has(text), `the folder has ${path} with ${text}, which is nowhere in ${wanted}`);
      } else {
        rule(failed.length === 0, `it still cannot write ${failed[0]?.name}: ${failed[0]?.error}`);
        rule(sorted(disk.list()) === wanted, `the folder has ${sorted(disk.list())} and not ${wanted}`);
      }
      return { accepted: canHold };
    } finally {
      for (const { node } of session.held) node.close();
      store.close();
    }
  },
};

/** Folders of a page as volumes. */
export const FOLDER_TARGETS: readonly Target[] = [folders];
