/** The operations of 9P2000.L on files. Each reads its request and writes its answer. */
import { VolumeError } from "./errno.js";
import { type Fid, SharedNode } from "./fids.js";
import { after, forEachLater } from "./later.js";
import { type Mount, requireKind, requireName } from "./mount.js";
import { type Answer, type Fields, T } from "./nine-p-wire.js";
import {
  type Later,
  MAX_NAME_BYTES,
  MAX_TARGET_BYTES,
  type NodeChanges,
  type NodeEntry,
  type NodeKind,
  type OpenFlags,
  SETTABLE_MODE,
  type VolumeNode,
} from "./volume-files.js";

/** Reads a request and writes its answer. `limit` is the number of bytes that the fields of an answer may take. */
export type Call = (mount: Mount, fields: Fields, answer: Answer, limit: number) => Later<unknown>;

/** Flags of Linux's open(2). */
const O_ACCESS = 3;
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
/** Flag of unlinkat(2). */
const AT_REMOVEDIR = 0x200;
/** Bits of SETATTR: which of its fields count. */
const SET = { MODE: 1, SIZE: 8, ATIME: 0x10, MTIME: 0x20, ATIME_GIVEN: 0x80, MTIME_GIVEN: 0x100 } as const;
/** All facts but the last three of GETATTR's answer: the time of birth, and two numbers that serve caches. */
const BASIC_FACTS = 0x7ff;
const FILE_TYPES: Record<NodeKind, number> = {
  file: 0o100000,
  directory: 0o040000,
  link: 0o120000,
  // Shown as a FIFO: nothing that is not a file can be opened.
  other: 0o010000,
};
/** Types of directory entries: DT_REG, DT_DIR, DT_LNK, DT_FIFO. */
const ENTRY_TYPES: Record<NodeKind, number> = { file: 8, directory: 4, link: 10, other: 1 };
/** Size of reads that the guest's tools are to use. */
const BLOCK_BYTES = 128 * 1024;
const V9FS_MAGIC = 0x01021997;
/** Most names of one walk, by the protocol. */
const MAX_WALK = 16;
/** Modification time that changes nothing: TOUCH_SECONDS of the agent's protocol. */
const TOUCH_MS = 2 ** 62 * 1000;
const LOCK_GRANTED = 0;
const LOCK_NONE = 2;
/** Bytes of an entry of a directory before its name. */
const ENTRY_BYTES = 24;

/** The operations by the types of their requests. */
export const CALLS: Record<number, Call> = {
  [T.STATFS]: (mount, fields, answer) =>
    after(mount.fid(fields.u32()).node.space(), ({ blockBytes, blocks, freeBlocks, files, freeFiles }) =>
      answer
        .u32(V9FS_MAGIC)
        .u32(blockBytes)
        .u64(blocks)
        .u64(freeBlocks)
        .u64(freeBlocks)
        .u64(files)
        .u64(freeFiles)
        .u64(0)
        .u32(MAX_NAME_BYTES),
    ),

  [T.LOPEN]: (mount, fields, answer) => {
    const number = fields.u32();
    const flags = openFlags(fields.u32());
    const fid = flags.write || flags.truncate ? mount.writable(number) : mount.fid(number);
    if (fid.isOpen) throw new VolumeError("EBADF");
    if (fid.node.kind === "directory" && flags.write) throw new VolumeError("EISDIR");
    if (fid.node.kind !== "directory") requireKind(fid.node, "file");
    const opened = fid.node.kind === "directory" ? undefined : fid.node.open(flags);
    return after(opened, (file) => {
      Object.assign(fid, { file, isOpen: true, mayWrite: flags.write });
      if (flags.truncate) mount.noteOwn(fid.shared);
      return after(mount.qid(fid.shared), (qid) => answer.qid(qid).u32(0));
    });
  },

  [T.LCREATE]: (mount, fields, answer) => {
    const fid = mount.writable(fields.u32());
    const name = requireName(fields.string());
    const flags = fields.u32();
    const mode = fields.u32() & SETTABLE_MODE;
    if (fid.isOpen) throw new VolumeError("EBADF");
    requireKind(fid.node, "directory");
    const exclusive = (flags & O_EXCL) !== 0;
    return after(fid.node.create(name, { ...openFlags(flags), exclusive }, mode), ({ node, file }) => {
      const { volume } = fid.shared;
      fid.shared.release();
      Object.assign(fid, { shared: new SharedNode(node, volume), file, isOpen: true });
      fid.mayWrite = openFlags(flags).write;
      mount.noteOwn(fid.shared);
      return after(mount.qid(fid.shared), (qid) => answer.qid(qid).u32(0));
    });
  },

  [T.SYMLINK]: (mount, fields, answer) => {
    const fid = directory(mount, fields);
    const name = requireName(fields.string());
    return answerNew(mount, fid, name, fid.node.makeLink(name, requireTarget(fields.string())), answer);
  },

  [T.MKDIR]: (mount, fields, answer) => {
    const fid = directory(mount, fields);
    const name = requireName(fields.string());
    return answerNew(mount, fid, name, fid.node.makeDirectory(name, fields.u32() & SETTABLE_MODE), answer);
  },

  // FIFOs, sockets and devices would be those of the host.
  [T.MKNOD]: () => refuse("EPERM"),

  [T.READLINK]: (mount, fields, answer) => {
    const { node } = mount.fid(fields.u32());
    requireKind(node, "link");
    return after(node.target(), (target) => answer.string(target));
  },

  [T.GETATTR]: (mount, fields, answer) => {
    const { shared, node } = mount.fid(fields.u32());
    return after(node.stat(), (stat) =>
      answer
        .u64(BASIC_FACTS)
        .qid(mount.qidOf(shared.volume, stat))
        .u32(FILE_TYPES[stat.kind] | stat.mode)
        .u32(stat.uid)
        .u32(stat.gid)
        .u64(stat.links)
        .u64(0)
        .u64(stat.size)
        .u64(BLOCK_BYTES)
        .u64(stat.blocks)
        .time(stat.atimeMs)
        .time(stat.mtimeMs)
        .time(stat.ctimeMs)
        .time(0)
        .u64(0)
        .u64(0),
    );
  },

  [T.SETATTR]: (mount, fields) => {
    const number = fields.u32();
    const changes = changesOf(fields);
    // The agent's way to have Linux report what others have changed.
    if (changes.mtimeMs === TOUCH_MS) return void mount.fid(number);
    const { node, shared } = mount.writable(number);
    if (changes.size !== undefined) requireKind(node, "file");
    return after(node.change(changes), () => mount.noteOwn(shared));
  },

  [T.XATTRWALK]: () => refuse("EOPNOTSUPP"),
  [T.XATTRCREATE]: () => refuse("EOPNOTSUPP"),
  // Linux uses RENAMEAT and UNLINKAT.
  [T.RENAME]: () => refuse("EOPNOTSUPP"),

  [T.READDIR]: (mount, fields, answer, limit) => {
    const fid = mount.fid(fields.u32());
    const offset = fields.u64();
    const count = fields.u32();
    requireKind(fid.node, "directory");
    if (!fid.isOpen) throw new VolumeError("EBADF");
    const listed = offset === 0 || !fid.entries ? fid.node.list() : fid.entries;
    return after(listed, (entries) => {
      if (entries !== fid.entries) mount.fids.keepEntries(fid, entries);
      return after(fid.node.stat(), (self) => {
        const dots: NodeEntry[] = [
          { ...self, name: "." },
          { ...self, name: ".." },
        ];
        const room = Math.min(count, limit - 4);
        answer.u32(0);
        for (let at = offset; at < entries.length + 2; at++) {
          const entry = (dots[at] ?? entries[at - 2])!;
          if (answer.size - 4 + ENTRY_BYTES + entry.name.length > room) break;
          answer
            .qid(mount.qidOf(fid.shared.volume, entry))
            .u64(at + 1)
            .u8(ENTRY_TYPES[entry.kind])
            .string(entry.name);
        }
        answer.patch(0, answer.size - 4);
      });
    });
  },

  [T.FSYNC]: (mount, fields) => {
    const { file, node } = mount.fid(fields.u32());
    const data = fields.u32() !== 0;
    if (file) return file.sync(data);
    return node.kind === "directory" ? node.sync() : undefined;
  },

  // The guest's kernel keeps the locks of its processes apart by itself.
  [T.LOCK]: (mount, fields, answer) => {
    mount.fid(fields.u32());
    answer.u8(LOCK_GRANTED);
  },

  [T.GETLOCK]: (mount, fields, answer) => {
    mount.fid(fields.u32());
    fields.u8();
    const [start, length] = [fields.bytes(8), fields.bytes(8)];
    const process = fields.u32();
    answer.u8(LOCK_NONE).room(8).set(start);
    answer.room(8).set(length);
    answer.u32(process).string(fields.string());
  },

  [T.LINK]: (mount, fields) => {
    const into = directory(mount, fields);
    const { shared, node } = mount.fid(fields.u32());
    const name = requireName(fields.string());
    if (shared.volume !== into.shared.volume) throw new VolumeError("EXDEV");
    if (node.kind === "directory") throw new VolumeError("EPERM");
    return after(into.node.addName(node, name), () => mount.noteOwn(shared));
  },

  [T.RENAMEAT]: (mount, fields) => {
    const from = directory(mount, fields);
    const name = requireName(fields.string());
    const to = directory(mount, fields);
    const newName = requireName(fields.string());
    if (from.shared.volume !== to.shared.volume) throw new VolumeError("EXDEV");
    return after(from.node.rename(name, to.node, newName), () => {
      mount.noteOwn(from.shared, name);
      mount.noteOwn(to.shared, newName);
    });
  },

  [T.UNLINKAT]: (mount, fields) => {
    const { node, shared } = directory(mount, fields);
    const name = requireName(fields.string());
    const kind = fields.u32() & AT_REMOVEDIR ? "directory" : "file";
    return after(node.remove(name, kind), () => mount.noteOwn(shared, name));
  },

  [T.READ]: (mount, fields, answer, limit) => {
    const fid = mount.fid(fields.u32());
    const at = fields.u64();
    const into = answer.u32(0).room(Math.min(fields.u32(), limit - 4));
    return after(openFile(fid).read(into, at), (bytes) => {
      answer.patch(0, bytes).cut(4 + bytes);
    });
  },

  [T.WRITE]: (mount, fields, answer) => {
    const fid = mount.writable(fields.u32());
    const at = fields.u64();
    const file = openFile(fid);
    if (!fid.mayWrite) throw new VolumeError("EBADF");
    return after(file.write(fields.bytes(fields.u32()), at), (bytes) => {
      mount.noteOwn(fid.shared);
      answer.u32(bytes);
    });
  },

  [T.WALK]: (mount, fields, answer) => {
    const from = fields.u32();
    const fid = mount.fid(from);
    const to = fields.u32();
    const count = fields.u16();
    if (count > MAX_WALK) throw new VolumeError("EINVAL");
    if (to === from && fid.isOpen) throw new VolumeError("EBADF");
    const names = Array.from({ length: count }, () => fields.string());
    let at = fid.shared.share();
    answer.u16(0);
    const step = (name: string, index: number) =>
      after(mount.find(at, name), (found) => {
        at.release();
        at = found;
        return after(mount.qid(found), (qid) => {
          answer.qid(qid);
          answer.patch16(0, index + 1);
        });
      });
    const walked = attempt(() => forEachLater(names, step));
    return after(walked, (failure) => {
      if (failure === undefined) {
        if (to !== from) return mount.fids.add(to, at);
        fid.shared.release();
        fid.shared = at;
        return;
      }
      at.release();
      // After the first name, the answer says how far the walk came.
      if (answer.size === 2) throw failure;
    });
  },

  [T.CLUNK]: (mount, fields) => mount.fids.remove(fields.u32()),

  [T.REMOVE]: (mount, fields) => {
    // It ends the fid even if it fails. Linux uses UNLINKAT.
    mount.fids.remove(fields.u32());
    return refuse("EOPNOTSUPP");
  },
};

function refuse(errno: "EPERM" | "EOPNOTSUPP"): never {
  throw new VolumeError(errno);
}

/** Does something that may fail, at once or later, and returns why it did. */
function attempt(work: () => Later<void>): Later<unknown> {
  try {
    const done = work();
    return done instanceof Promise ? done.catch((error) => error ?? new VolumeError("EIO")) : undefined;
  } catch (error) {
    return error ?? new VolumeError("EIO");
  }
}

/** Reads the fid of a directory whose entries are to be changed. */
function directory(mount: Mount, fields: Fields): Fid {
  const fid = mount.writable(fields.u32());
  requireKind(fid.node, "directory");
  return fid;
}

/** Checks the target of a link. @throws {VolumeError} ENOENT, EINVAL, ENAMETOOLONG */
function requireTarget(target: string): string {
  if (target === "") throw new VolumeError("ENOENT");
  if (target.includes("\0")) throw new VolumeError("EINVAL");
  if (target.length > MAX_TARGET_BYTES) throw new VolumeError("ENAMETOOLONG");
  return target;
}

function openFile({ file, node }: Fid) {
  requireKind(node, "file");
  if (!file) throw new VolumeError("EBADF");
  return file;
}

/** Answers with the identity of a new entry, for which there is no fid yet. */
function answerNew(
  mount: Mount,
  { shared }: Fid,
  name: string,
  made: ReturnType<VolumeNode["makeLink"]>,
  answer: Answer,
) {
  return after(made, (node) => {
    const entry = new SharedNode(node, shared.volume);
    mount.noteOwn(shared, name);
    return after(mount.qid(entry), (qid) => {
      entry.release();
      answer.qid(qid);
    });
  });
}

function openFlags(flags: number): OpenFlags {
  const access = flags & O_ACCESS;
  return {
    read: access !== O_WRONLY,
    write: access !== O_RDONLY,
    truncate: (flags & O_TRUNC) !== 0,
    append: (flags & O_APPEND) !== 0,
  };
}

function changesOf(fields: Fields): NodeChanges {
  const valid = fields.u32();
  const mode = fields.u32();
  // The owner, which stays: tar, npm and git go on as they do elsewhere.
  fields.u32();
  fields.u32();
  const size = fields.u64();
  const atimeMs = timeOf(fields);
  const mtimeMs = timeOf(fields);
  const now = Date.now();
  return {
    ...(valid & SET.MODE && { mode: mode & SETTABLE_MODE }),
    ...(valid & SET.SIZE && { size }),
    ...(valid & SET.ATIME && { atimeMs: valid & SET.ATIME_GIVEN ? atimeMs : now }),
    ...(valid & SET.MTIME && { mtimeMs: valid & SET.MTIME_GIVEN ? mtimeMs : now }),
  };
}

function timeOf(fields: Fields): number {
  const [low, high] = [fields.u32(), fields.u32() | 0];
  return (high * 2 ** 32 + low) * 1000 + fields.u64() / 1e6;
}
