import { pause } from "../../util/timer.js";
import { ERRNO, VolumeError, volumeErrorOf } from "./errno.js";
import type { MountedVolume, SharedNode } from "./fids.js";
import { type Mount, requireKind } from "./mount.js";
import { LeadsOut, type PathEnd, PathWalk } from "./path-walk.js";
import { temporaryName } from "./temporary-names.js";
import type { OpenedFile, VolumeAnswer, VolumeCall, VolumeEntry } from "./volume-calls.js";
import type { NodeStat, OpenFile, OpenFlags } from "./volume-files.js";
import { VolumeWatches } from "./volume-watches.js";

/** Most files that calls may have open. */
const MAX_OPEN = 256;
/** Most bytes of one read. */
const MAX_READ_BYTES = 2 ** 20;
/** Entries of a directory that are looked at before the machine gets its turn. */
const TURN_ENTRIES = 256;
const READ: OpenFlags = { read: true, write: false, truncate: false, append: false };
const WRITE: OpenFlags = { read: false, write: true, truncate: true, append: false };
const TYPES = { file: "file", directory: "directory", link: "symlink", other: "other" } as const;

/** A file that a call has opened. */
interface Open {
  file: OpenFile;
  /** Puts a new file in its place; absent for one that is read, or written in place. */
  commit?: () => Promise<void>;
  /** Gives up what holds the file's place, and a new file that was not committed. */
  release(): Promise<void>;
}

/** Serves calls of `box.files` on the volumes of a machine, beside the guest's own requests. */
export class VolumeService {
  private readonly open = new Map<number, Open>();
  private nextHandle = 1;
  private readonly watches: VolumeWatches;

  constructor(private readonly mount: Mount) {
    this.watches = new VolumeWatches(mount);
  }

  /** Performs a call. Never rejects. */
  async call(call: VolumeCall): Promise<VolumeAnswer> {
    try {
      return await this.perform(call);
    } catch (error) {
      if (error instanceof LeadsOut)
        return { out: error.path, volume: error.volume, isSecond: error instanceof SecondLeadsOut };
      return { errno: ERRNO[volumeErrorOf(error).errno] };
    }
  }

  /** Ends all watches, and closes all files that calls have left open. */
  close(): void {
    this.watches.close();
    for (const handle of [...this.open.keys()]) void this.end(handle).catch(() => {});
  }

  private async perform(call: VolumeCall): Promise<VolumeAnswer> {
    switch (call.call) {
      case "watch":
        await this.watches.begin(call);
        return { entries: [] };
      case "changes":
        return this.watches.changes(call.watch);
      case "foreign":
        return { paths: await this.mount.watchForeign().take() };
      case "unwatch":
        this.watches.end(call.watch);
        return { entries: [] };
      case "read":
        return this.read(call);
      case "write":
        return this.write(call);
      case "commit":
        return this.commit(call.handle);
      case "close":
        return this.end(call.handle);
      case "open":
        return this.openToRead(call.path);
      case "create":
        return this.create(call);
      default:
        return this.walking((walk) => this.operate(walk, call));
    }
  }

  private async walking<T>(use: (walk: PathWalk) => Promise<T>): Promise<T> {
    const walk = new PathWalk(this.mount);
    try {
      return await use(walk);
    } finally {
      walk.close();
    }
  }

  private async operate(
    walk: PathWalk,
    call: Extract<VolumeCall, { call: "stat" | "list" | "mkdir" | "rename" | "remove" }>,
  ): Promise<VolumeAnswer> {
    switch (call.call) {
      case "stat": {
        const { node } = await walk.find(call.path, call.follow);
        return { entries: [entryOf(await node.stat(), "")] };
      }
      case "list":
        return { entries: await this.list(await walk.find(call.path, true)) };
      case "mkdir":
        await this.makeDirectory(walk, call);
        return { entries: [] };
      case "rename": {
        const from = this.named(await walk.end(call.path, { follow: false }));
        const to = this.named(await second(walk.end(call.to, { follow: false })));
        if (from.volume !== to.volume) throw new VolumeError("EXDEV");
        await from.node.rename(from.name, to.node, to.name);
        return { entries: [] };
      }
      case "remove": {
        const end = await walk.end(call.path, { follow: false });
        if (end.found?.node.kind === "directory") throw new VolumeError("EISDIR");
        const { node, name } = this.named(end);
        await node.remove(name, "file");
        return { entries: [] };
      }
    }
  }

  private async list(directory: SharedNode): Promise<VolumeEntry[]> {
    requireKind(directory.node, "directory");
    const entries: VolumeEntry[] = [];
    for (const [index, { name }] of (await directory.node.list()).entries()) {
      if (index % TURN_ENTRIES === TURN_ENTRIES - 1) await pause(0);
      try {
        const found = await this.mount.find(directory, name);
        try {
          entries.push(entryOf(await found.node.stat(), name));
        } finally {
          found.release();
        }
      } catch (error) {
        // It was removed meanwhile.
        if (volumeErrorOf(error).errno !== "ENOENT") throw error;
      }
    }
    return entries;
  }

  private async makeDirectory(
    walk: PathWalk,
    { path, mode, recursive }: { path: string; mode: number; recursive: boolean },
  ): Promise<void> {
    const end = await walk.end(path.replace(/\/+$/, ""), { follow: recursive, make: recursive });
    if (end.found) {
      if (recursive && end.found.node.kind === "directory") return;
      throw new VolumeError("EEXIST");
    }
    await walk.makeDirectory(end.folder!, end.name, mode);
  }

  private async openToRead(path: string): Promise<VolumeAnswer> {
    return this.walking(async (walk) => {
      const { node } = await walk.find(path, true);
      requireKind(node, "file");
      this.requireRoom();
      const file = await node.open(READ);
      const { size, mode } = await node.stat();
      return this.opened({ file, release: async () => {} }, { size, mode, inPlace: false });
    });
  }

  /** A new file is written beside its place, and takes it by a rename: who has the old one open goes on reading the old one. */
  private async create({
    path,
    mode,
    newMode,
  }: Extract<VolumeCall, { call: "create" }>): Promise<VolumeAnswer> {
    return this.walking(async (walk) => {
      const end = await walk.end(path, { follow: true, make: true });
      if (path.endsWith("/")) throw new VolumeError("EISDIR");
      const { node: folder, name, volume } = this.named(end);
      const old = end.found;
      if (old) requireKind(old.node, "file");
      this.requireRoom();
      const newFileMode = mode ?? (old ? (await old.node.stat()).mode : newMode);
      const temporary = temporaryName();
      try {
        const made = await folder.create(temporary, { ...WRITE, exclusive: true }, newFileMode);
        made.node.close();
        const place = end.folder!.share();
        let isDone = false;
        const commit = async () => {
          await folder.rename(temporary, folder, name);
          isDone = true;
        };
        const release = async () => {
          if (!isDone) await Promise.resolve(folder.remove(temporary, "file")).catch(() => {});
          place.release();
        };
        return this.opened(
          { file: made.file, commit, release },
          { size: 0, mode: newFileMode, inPlace: false },
        );
      } catch (error) {
        const { errno } = volumeErrorOf(error);
        if (!old || (errno !== "EACCES" && errno !== "EPERM")) throw error;
        this.mount.requireWritable(volume);
        const file = await old.node.open(WRITE);
        return this.opened({ file, release: async () => {} }, { size: 0, mode: newFileMode, inPlace: true });
      }
    });
  }

  private async read({ handle, at, bytes }: Extract<VolumeCall, { call: "read" }>): Promise<VolumeAnswer> {
    const into = new Uint8Array(Math.min(bytes, MAX_READ_BYTES));
    const count = await this.file(handle).file.read(into, at);
    return { bytes: into.subarray(0, count) };
  }

  private async write({ handle, at, bytes }: Extract<VolumeCall, { call: "write" }>): Promise<VolumeAnswer> {
    const { file } = this.file(handle);
    for (let done = 0; done < bytes.byteLength; ) {
      const count = await file.write(bytes.subarray(done), at + done);
      if (count === 0) throw new VolumeError("ENOSPC");
      done += count;
    }
    return { entries: [] };
  }

  private async commit(handle: number): Promise<VolumeAnswer> {
    const { commit } = this.file(handle);
    await commit?.();
    return { entries: [] };
  }

  private async end(handle: number): Promise<VolumeAnswer> {
    const { file, release } = this.file(handle);
    this.open.delete(handle);
    await release();
    await file.close();
    return { entries: [] };
  }

  private opened(open: Open, facts: Omit<OpenedFile, "handle">): VolumeAnswer {
    const handle = this.nextHandle++;
    this.open.set(handle, open);
    return { opened: { ...facts, handle } };
  }

  private file(handle: number): Open {
    const open = this.open.get(handle);
    if (!open) throw new VolumeError("EBADF");
    return open;
  }

  private requireRoom(): void {
    if (this.open.size >= MAX_OPEN) throw new VolumeError("EMFILE");
  }

  /** Returns the directory and the last name of a path, to change it. @throws {VolumeError} EBUSY for the place of a volume; EROFS */
  private named({ folder, name }: PathEnd): {
    node: SharedNode["node"];
    name: string;
    volume: MountedVolume | undefined;
  } {
    if (!folder) throw new VolumeError("EBUSY");
    this.mount.requireWritable(folder.volume);
    return { node: folder.node, name, volume: folder.volume };
  }
}

/** The same of the second path of a rename. */
class SecondLeadsOut extends LeadsOut {}

function second<T>(walk: Promise<T>): Promise<T> {
  return walk.catch((error) => {
    throw error instanceof LeadsOut ? new SecondLeadsOut(error.path, error.volume) : error;
  });
}

function entryOf({ kind, size, mode, mtimeMs, uid, gid }: NodeStat, name: string): VolumeEntry {
  return { name, type: TYPES[kind], size, mode, mtimeMs, uid, gid };
}
