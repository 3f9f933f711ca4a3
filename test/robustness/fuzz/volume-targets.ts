import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHostDirectory } from "../../../src/local/volumes/host-directory-node.js";
import { MemoryTree } from "../../../src/local/volumes/memory-tree.js";
import type { OpenedVolume } from "../../../src/local/volumes/mount.js";
import { RLERROR, T } from "../../../src/local/volumes/nine-p-wire.js";
import { ServedVolumes } from "../../../src/local/volumes/served-volumes.js";
import { type Field, message } from "../../local/volumes/nine-p-client.js";
import type { Mutator } from "./mutate.js";
import { rule, type Taken, type Target } from "./target.js";

const MESSAGES = 24;
const HEADER_BYTES = 7;
const EIO = 5;
const NAMES = [
  "file",
  "dir",
  "link",
  "out",
  "new",
  "..",
  ".",
  "",
  "a/b",
  "a\0b",
  "\xff",
  "x".repeat(256),
  "0",
  "1",
];
const TYPES = Object.values(T);

/** A field of a request that the type does not need to be right about. */
function anyField({ random }: Mutator): Field {
  const number = random.chance(0.8) ? random.between(0, 6) : random.size(0xffff_ffff);
  return random.pick<Field>([
    { u8: number & 0xff },
    { u16: number & 0xffff },
    { u32: number },
    { u64: random.chance(0.9) ? number : random.size(2 ** 52) },
    random.pick(NAMES),
    new Uint8Array(random.size(200)),
  ]);
}

/** The fields of a request of a type, with fids, names and flags that may be some. */
function fieldsOf(type: number, mutator: Mutator): Field[] {
  const { random } = mutator;
  const fid = () => ({ u32: random.between(0, 6) });
  const name = () => random.pick(NAMES);
  const flags = () => ({ u32: random.pick([0, 1, 2, 3, 0o200, 0o1000, 0o2000, 0o1002, 0o2001]) });
  const mode = () => ({ u32: random.between(0, 0o7777) });
  const at = () => ({ u64: random.size(2 ** 40) });
  const zero = { u32: 0 };
  const data = new Uint8Array(random.size(2000)).fill(7);
  const names = Array.from({ length: random.between(0, 3) }, name);
  switch (type) {
    case T.WALK:
      return [fid(), fid(), { u16: names.length }, ...names];
    case T.LOPEN:
      return [fid(), flags()];
    case T.LCREATE:
      return [fid(), name(), flags(), mode(), zero];
    case T.SYMLINK:
      return [fid(), name(), name(), zero];
    case T.MKDIR:
      return [fid(), name(), mode(), zero];
    case T.SETATTR:
      return [fid(), { u32: random.between(0, 0x1ff) }, mode(), zero, zero, at(), at(), at(), at(), at()];
    case T.READDIR:
    case T.READ:
      return [fid(), at(), { u32: random.size(600_000) }];
    case T.WRITE:
      return [fid(), at(), { u32: data.byteLength }, data];
    case T.LINK:
      return [fid(), fid(), name()];
    case T.RENAMEAT:
      return [fid(), name(), fid(), name()];
    case T.UNLINKAT:
      return [fid(), name(), random.pick([zero, { u32: 0x200 }])];
    case T.GETATTR:
      return [fid(), { u64: 0x7ff }];
    case T.VERSION:
      return random.chance(0.05) ? [{ u32: random.size(2 ** 31) }, "9P2000.L"] : [];
    case T.STATFS:
    case T.READLINK:
    case T.CLUNK:
    case T.FSYNC:
      return [fid(), zero];
    default:
      return Array.from({ length: random.between(0, 6) }, () => anyField(mutator));
  }
}

/** Sends the messages of a guest to the volumes, and looks at each answer. */
function session(volumes: readonly OpenedVolume[], mutator: Mutator): Taken {
  const { random } = mutator;
  const served = new ServedVolumes(volumes);
  const sent: Uint8Array[] = [];
  let accepted = 0;
  const send = (request: Uint8Array) => {
    let answers = 0;
    served.handle(request.slice(), (answer) => {
      answers++;
      const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
      rule(view.getUint32(0, true) === answer.byteLength, "an answer has a wrong length");
      rule(answer.byteLength <= 512_000, "an answer is too long");
      if (request.byteLength >= HEADER_BYTES)
        rule(view.getUint16(5, true) === (request[5]! | (request[6]! << 8)), "an answer has another tag");
      if (answer[4] !== RLERROR) accepted++;
      // No disk is broken: an error that is none of a file system's is one of the server.
      else
        rule(
          view.getUint32(7, true) !== EIO,
          `an error of the server itself, to a message of type ${request[4]}`,
        );
    });
    rule(answers === 1, `${answers} answers to a message of type ${request[4]}`);
  };
  try {
    send(message(T.VERSION, 0, [{ u32: 512_000 }, "9P2000.L"]));
    send(message(T.ATTACH, 1, [{ u32: 0 }, { u32: 0xffff_ffff }, "", "", { u32: 0 }]));
    send(message(T.WALK, 2, [{ u32: 0 }, { u32: 1 }, { u16: 1 }, random.pick(["0", "1"])]));
    accepted = 0;
    for (let i = 0; i < MESSAGES; i++) {
      const type = random.pick(TYPES);
      const request = message(type, random.between(0, 0xffff), fieldsOf(type, mutator));
      sent.push(request);
      send(random.chance(0.3) ? mutator.mutate(request, sent) : request);
    }
    return { accepted: accepted > MESSAGES / 6 };
  } finally {
    served.close();
  }
}

const state: { base?: string } = {};

/** A folder for all inputs, which is removed with the process. */
function base(): string {
  if (state.base === undefined) {
    const folder = mkdtempSync(join(tmpdir(), "boxrun-fuzz-volume-"));
    state.base = folder;
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  }
  return state.base;
}

function hostSession(mutator: Mutator): Taken {
  const folder = join(base(), "volume");
  const outside = join(base(), "outside");
  for (const path of [folder, outside]) mkdirSync(path);
  try {
    writeFileSync(join(outside, "secret"), "secret");
    writeFileSync(join(folder, "file"), "text");
    mkdirSync(join(folder, "dir"));
    symlinkSync("file", join(folder, "link"));
    symlinkSync(outside, join(folder, "out"));
    const taken = session(
      [false, true].map((readonly) => openHostDirectory({ hostPath: folder, readonly })),
      mutator,
    );
    rule(
      readdirSync(outside).join() === "secret" && readFileSync(join(outside, "secret"), "utf8") === "secret",
      "something outside has changed",
    );
    return taken;
  } finally {
    for (const path of [folder, outside]) removeAll(Buffer.from(path));
  }
}

/** Removes a folder, whatever its modes and names are. */
function removeAll(path: Buffer): void {
  chmodSync(path, 0o700);
  for (const entry of readdirSync(path, { withFileTypes: true, encoding: "buffer" })) {
    const child = Buffer.concat([path, Buffer.from("/"), entry.name]);
    if (entry.isDirectory()) removeAll(child);
    else unlinkSync(child);
  }
  rmdirSync(path);
}

function memorySession(mutator: Mutator): Taken {
  const tree = new MemoryTree({ maxBytes: 2 ** 20, maxFiles: 100 });
  return session(
    [false, true].map((readonly) => ({ root: tree.root(), device: 0, readonly })),
    mutator,
  );
}

/** Requests of a guest for the files of its volumes. */
export const VOLUME_TARGETS: readonly Target[] = [
  { name: "9P on a directory of the host", run: hostSession },
  { name: "9P on files in memory", run: memorySession },
];
