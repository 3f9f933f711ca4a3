import { deepEqual, equal, ok } from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VolumeError } from "../../../src/local/volumes/errno.js";
import { MemoryTree } from "../../../src/local/volumes/memory-tree.js";
import { ReplicaNode } from "../../../src/local/volumes/replica-nodes.js";
import { TreeOriginal } from "../../../src/local/volumes/tree-original.js";
import type { Later, OpenFile, OpenFlags, VolumeNode } from "../../../src/local/volumes/volume-files.js";
import type { Random } from "../../robustness/faults/random.js";
import { linkReplica } from "./linked-replica.js";
import { contentsLater, describeTree } from "./tree-calls.js";
import { Facts, listHost, listTree } from "./tree-listing.js";

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } =
  fs.constants;
/** Linux's O_PATH, which Node has no name for: a descriptor that stands for a file without opening it. */
const O_PATH = 0o10000000;

const NAMES = ["a", "b", "c", "d", "e", "\xff\xe9 \n", "n".repeat(255)];
const TARGETS = ["a", "../b", "/nowhere", "\xff", "t".repeat(4095)];
const MODES = [0o644, 0o600, 0o755, 0o700, 0o1777, 0o4755, 0o6755];
const MAX_HELD = 24;
const FILE_BYTES = 600_000;

/** A file, directory or link that is held in the tree and, by a descriptor, on the host. */
interface Held {
  node: VolumeNode;
  descriptor: number;
}

/** A file that is open in the tree and on the host. */
interface Opened {
  file: OpenFile;
  descriptor: number;
}

const pathOf = ({ descriptor }: Held | Opened) => `/proc/self/fd/${descriptor}`;
const childOf = (folder: Held, name: string) => Buffer.from(`${pathOf(folder)}/${name}`, "latin1");

/** Does the same, by chance, in a tree in memory and in a folder of the host, where Linux is the judge. */
export class TreeModel {
  /** Errors that both sides have given. */
  readonly errors = new Set<string>();
  readonly #folder = fs.mkdtempSync(join(tmpdir(), "boxrun-tree-"));
  readonly #facts = new Facts(this.#folder);
  readonly #root: Held;
  #held: Held[] = [];
  #opened: Opened[] = [];

  /** Takes the root of an empty tree, or of a replica of one. */
  constructor(
    private readonly random: Random,
    root: VolumeNode,
  ) {
    const descriptor = fs.openSync(this.#folder, O_PATH | O_DIRECTORY);
    this.#root = { node: root, descriptor };
    fs.chmodSync(this.#folder, 0o755);
  }

  /** Does one thing on both sides, and compares what comes of it. */
  async step(): Promise<void> {
    const { random } = this;
    const steps: [number, () => Promise<void>][] = [
      [3, () => this.#create()],
      [2, () => this.#makeDirectory()],
      [1, () => this.#makeLink()],
      [2, () => this.#addName()],
      [4, () => this.#find()],
      [2, () => this.#open()],
      [5, () => this.#write()],
      [3, () => this.#read()],
      [2, () => this.#resize()],
      [1, () => this.#changeMode()],
      [4, () => this.#rename()],
      [3, () => this.#remove()],
      [1, () => this.#list()],
      [1, () => this.#close()],
    ];
    await random.pick(steps.flatMap(([weight, step]) => Array<() => Promise<void>>(weight).fill(step)))();
    while (this.#held.length + this.#opened.length > MAX_HELD) await this.#close();
  }

  /** Compares all there is to see, and all that is held. */
  async compare(): Promise<void> {
    const { node } = this.#root;
    deepEqual(await listTree(node, this.#facts), listHost(this.#folder, this.#facts));
    for (const held of [this.#root, ...this.#held]) {
      await this.#compareFacts(held);
      if (held.node.kind === "file")
        equal((await contentsLater(held.node)) === fs.readFileSync(pathOf(held), "latin1"), true);
    }
  }

  end(): void {
    for (const { descriptor } of [this.#root, ...this.#held, ...this.#opened]) fs.closeSync(descriptor);
    fs.rmSync(this.#folder, { recursive: true });
  }

  /** Runs a call on both sides. Returns both results, or nothing when both refuse for the same reason. */
  async #both<T, H>(what: string, inTree: () => Later<T>, onHost: () => H): Promise<[T, H] | undefined> {
    const tree = await outcomeOf(inTree);
    const host = await outcomeOf(onHost);
    equal(tree.errno, host.errno, `${what}: ${tree.errno} in the tree, ${host.errno} on the host`);
    if (tree.errno !== undefined) this.errors.add(tree.errno);
    return tree.errno === undefined ? [tree.value as T, host.value as H] : undefined;
  }

  async #hold(node: VolumeNode, descriptor: number): Promise<void> {
    const held = { node, descriptor };
    this.#held.push(held);
    await this.#compareFacts(held);
  }

  async #compareFacts({ node, descriptor }: Held): Promise<void> {
    deepEqual(this.#facts.inTree(await node.stat()), this.#facts.onHost(fs.fstatSync(descriptor)));
  }

  #anyFolder(): Held {
    const folders = this.#held.filter(({ node }) => node.kind === "directory");
    return this.random.chance(0.05) ? this.#any() : this.random.pick([this.#root, ...folders]);
  }

  #any(): Held {
    return this.random.pick([this.#root, ...this.#held]);
  }

  #name(): string {
    return this.random.chance(0.02) ? "n".repeat(256) : this.random.pick(NAMES);
  }

  #flags(): OpenFlags {
    const [read, write] = this.random.pick([
      [true, false],
      [false, true],
      [true, true],
      [true, true],
    ]);
    return { read: read!, write: write!, truncate: this.random.chance(0.2), append: this.random.chance(0.2) };
  }

  async #create(): Promise<void> {
    const folder = this.#anyFolder();
    const [name, mode] = [this.#name(), this.random.pick([0o644, 0o600, 0o755])];
    const flags = { ...this.#flags(), exclusive: this.random.chance(0.5) };
    const hostFlags = hostFlagsOf(flags) | O_CREAT | O_NOFOLLOW | (flags.exclusive ? O_EXCL : 0);
    const done = await this.#both(
      `create ${name}`,
      () => folder.node.create(name, flags, mode),
      () => fs.openSync(childOf(folder, name), hostFlags, mode),
    );
    if (!done) return;
    const [{ node, file }, descriptor] = done;
    this.#opened.push({ file, descriptor });
    await this.#hold(node, fs.openSync(`/proc/self/fd/${descriptor}`, O_PATH));
  }

  async #makeDirectory(): Promise<void> {
    const [folder, name, mode] = [this.#anyFolder(), this.#name(), this.random.pick([0o755, 0o700])];
    const done = await this.#both(
      `mkdir ${name}`,
      () => folder.node.makeDirectory(name, mode),
      () => fs.mkdirSync(childOf(folder, name), mode),
    );
    if (done) await this.#hold(done[0], fs.openSync(childOf(folder, name), O_PATH | O_NOFOLLOW));
  }

  async #makeLink(): Promise<void> {
    const [folder, name, target] = [this.#anyFolder(), this.#name(), this.random.pick(TARGETS)];
    const done = await this.#both(
      `symlink ${name}`,
      () => folder.node.makeLink(name, target),
      () => fs.symlinkSync(Buffer.from(target, "latin1"), childOf(folder, name)),
    );
    if (done) await this.#hold(done[0], fs.openSync(childOf(folder, name), O_PATH | O_NOFOLLOW));
  }

  async #addName(): Promise<void> {
    const [from, name, to, newName] = [this.#anyFolder(), this.#name(), this.#anyFolder(), this.#name()];
    const inTree = async () => {
      const node = await from.node.find(name);
      try {
        await to.node.addName(node, newName);
      } finally {
        node.close();
      }
    };
    const onHost = () => fs.linkSync(childOf(from, name), childOf(to, newName));
    await this.#both(`link ${name} ${newName}`, inTree, onHost);
  }

  async #find(): Promise<void> {
    const [folder, name] = [this.#anyFolder(), this.#name()];
    const done = await this.#both(
      `find ${name}`,
      () => folder.node.find(name),
      () => fs.openSync(childOf(folder, name), O_PATH | O_NOFOLLOW),
    );
    if (done) await this.#hold(...done);
  }

  async #open(): Promise<void> {
    const held = this.#any();
    const flags = this.#flags();
    // Linux opens a directory, too, to list it.
    if (held.node.kind === "directory") flags.write = true;
    const done = await this.#both(
      "open",
      () => held.node.open(flags),
      () => fs.openSync(pathOf(held), hostFlagsOf(flags)),
    );
    if (done) this.#opened.push({ file: done[0], descriptor: done[1] });
  }

  async #write(): Promise<void> {
    const { random } = this;
    if (this.#opened.length === 0) return;
    const { file, descriptor } = random.pick(this.#opened);
    const at = random.size(FILE_BYTES);
    const bytes = Buffer.alloc(random.size(FILE_BYTES / 2), random.between(0, 255));
    const done = await this.#both(
      "write",
      () => file.write(bytes, at),
      () => fs.writeSync(descriptor, bytes, 0, bytes.length, at),
    );
    if (done) equal(...done);
  }

  async #read(): Promise<void> {
    const { random } = this;
    if (this.#opened.length === 0) return;
    const { file, descriptor } = random.pick(this.#opened);
    // Node asks nobody for no bytes.
    const [at, length] = [random.size(FILE_BYTES), 1 + random.size(FILE_BYTES)];
    const [tree, host] = [Buffer.alloc(length, "?"), Buffer.alloc(length, "?")];
    const done = await this.#both(
      "read",
      () => file.read(tree, at),
      () => fs.readSync(descriptor, host, 0, length, at),
    );
    if (done) equal(...done);
    ok(tree.equals(host));
  }

  async #resize(): Promise<void> {
    const held = this.#any();
    // Node opens a file to cut it, which a link refuses for another reason.
    if (held.node.kind === "link") return;
    const size = this.random.size(FILE_BYTES);
    await this.#both(
      "resize",
      () => held.node.change({ size }),
      () => fs.truncateSync(pathOf(held), size),
    );
  }

  async #changeMode(): Promise<void> {
    const held = this.#any();
    // Not every Linux refuses it.
    if (held.node.kind === "link") return;
    const mode = this.random.pick(MODES);
    await this.#both(
      "chmod",
      () => held.node.change({ mode }),
      () => fs.chmodSync(pathOf(held), mode),
    );
  }

  async #rename(): Promise<void> {
    const [from, name, to, newName] = [this.#anyFolder(), this.#name(), this.#anyFolder(), this.#name()];
    await this.#both(
      `rename ${name} ${newName}`,
      () => from.node.rename(name, to.node, newName),
      () => fs.renameSync(childOf(from, name), childOf(to, newName)),
    );
  }

  async #remove(): Promise<void> {
    const [folder, name] = [this.#anyFolder(), this.#name()];
    const kind = this.random.pick(["file", "directory"] as const);
    const onHost = kind === "file" ? fs.unlinkSync : fs.rmdirSync;
    await this.#both(
      `remove ${kind} ${name}`,
      () => folder.node.remove(name, kind),
      () => onHost(childOf(folder, name)),
    );
  }

  async #list(): Promise<void> {
    const held = this.#any();
    if (held.node.kind === "link") return;
    const done = await this.#both(
      "list",
      async () => (await held.node.list()).map(({ name }) => name),
      () => fs.readdirSync(pathOf(held), "latin1"),
    );
    if (done) deepEqual(done[0].sort(), done[1].sort());
  }

  async #close(): Promise<void> {
    const { random } = this;
    const any = random.pick<Held | Opened>([...this.#held, ...this.#opened]);
    if (any === undefined) return;
    if ("node" in any) any.node.close();
    else await any.file.close();
    fs.closeSync(any.descriptor);
    this.#held = this.#held.filter((held) => held !== any);
    this.#opened = this.#opened.filter((opened) => opened !== any);
  }
}

function hostFlagsOf({ read, write, truncate, append }: OpenFlags): number {
  return (
    (read && write ? O_RDWR : write ? O_WRONLY : O_RDONLY) |
    (truncate ? O_TRUNC : 0) |
    (append ? O_APPEND : 0)
  );
}

async function outcomeOf<T>(call: () => Later<T>): Promise<{ value?: T; errno?: string }> {
  try {
    return { value: await call() };
  } catch (error) {
    if (error instanceof VolumeError) return { errno: error.errno };
    const { code } = error as { code?: string };
    if (code === undefined || !/^E[A-Z]+$/.test(code)) throw error;
    return { errno: code };
  }
}

/** What to do with a seed. */
interface Run {
  steps: number;
  /** All is compared after so many steps each. */
  compareEvery: number;
}

/** Returns a clock that goes on with each look at it. */
function ticking(): () => number {
  let nowMs = 0;
  return () => ++nowMs;
}

/** Runs a model, with a copy that follows it from the start and one that is loaded in the middle. Returns the errors that there were; throws at the first difference. */
export async function runTreeModel(random: Random, { steps, compareEvery }: Run): Promise<Set<string>> {
  const tree = new MemoryTree({ now: ticking() });
  const model = new TreeModel(random, tree.root());
  try {
    const follower = new MemoryTree({ now: () => 1 });
    let late: MemoryTree | undefined;
    tree.onChange((change) => {
      const posted = structuredClone(change);
      follower.apply(posted);
      late?.apply(posted);
    });
    for (let step = 1; step <= steps; step++) {
      await model.step();
      const whole = step % compareEvery === 0;
      const expected = describeTree(tree, whole);
      deepEqual(describeTree(follower, whole), expected);
      if (late) deepEqual(describeTree(late, whole), expected);
      if (whole) await model.compare();
      if (step === Math.floor(steps / 2)) late = MemoryTree.load(structuredClone(tree.dump()));
    }
    return model.errors;
  } finally {
    model.end();
  }
}

/** Runs a model on a replica, whose original is behind a port. Returns the errors that there were; throws at the first difference. */
export async function runReplicaModel(random: Random, { steps, compareEvery }: Run): Promise<Set<string>> {
  const tree = new MemoryTree({ now: ticking() });
  const linked = await linkReplica(new TreeOriginal(tree));
  const model = new TreeModel(random, ReplicaNode.root(linked.replica));
  try {
    for (let step = 1; step <= steps; step++) {
      await model.step();
      if (step % compareEvery !== 0) continue;
      await model.compare();
      deepEqual(describeTree(linked.replica.tree()), describeTree(tree));
    }
    return model.errors;
  } finally {
    model.end();
    linked.end();
  }
}
