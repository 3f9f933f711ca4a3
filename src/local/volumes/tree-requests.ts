import { VolumeError } from "./errno.js";
import type { MemoryNode } from "./memory-nodes.js";
import type { TreeRequest } from "./tree-messages.js";
import type { OpenFlags } from "./volume-files.js";

const MAX_WRITE_BYTES = 2 ** 20;
const MAX_TEXT_BYTES = 4095;
const WRITE: OpenFlags = { read: false, write: true, truncate: false, append: false };

/** Finds what a replica may name by its number. The caller closes it. @throws {VolumeError} ESTALE */
type FindNode = (inode: number) => MemoryNode;

/**
 * Does what a replica has asked for, and returns the inode number of what is new, the number of bytes written, or 0. The request is untrusted: a guest may have broken out of its emulator.
 *
 * @throws {VolumeError} EINVAL when it makes no sense; otherwise what the tree says
 */
export function performRequest(request: unknown, find: FindNode): number {
  const fields = new RequestFields(request, find);
  try {
    return perform(fields);
  } finally {
    fields.close();
  }
}

function perform(fields: RequestFields): number {
  switch (fields.op) {
    case "create": {
      const folder = fields.node("parent");
      const flags = { ...WRITE, truncate: fields.flag("truncate"), exclusive: fields.flag("exclusive") };
      const { node, file } = folder.create(fields.name("name"), flags, fields.integer("mode"));
      file.close();
      return fields.made(node);
    }
    case "mkdir":
      return fields.made(fields.node("parent").makeDirectory(fields.name("name"), fields.integer("mode")));
    case "symlink":
      return fields.made(fields.node("parent").makeLink(fields.name("name"), fields.text("target")));
    case "link":
      fields.node("parent").addName(fields.node("inode"), fields.name("name"));
      return 0;
    case "rename":
      fields.node("parent").rename(fields.name("name"), fields.node("newParent"), fields.name("newName"));
      return 0;
    case "remove":
      fields
        .node("parent")
        .remove(fields.name("name"), fields.flag("kind", "directory") ? "directory" : "file");
      return 0;
    case "change":
      fields.node("inode").change({
        ...fields.optional("mode", (name) => fields.integer(name)),
        ...fields.optional("size", (name) => fields.integer(name)),
        ...fields.optional("mtimeMs", (name) => fields.time(name)),
      });
      return 0;
    case "truncate":
      fields
        .node("inode")
        .open({ ...WRITE, truncate: true })
        .close();
      return 0;
    case "write": {
      const file = fields.node("inode").open({ ...WRITE, append: fields.flag("append") });
      try {
        return file.write(fields.bytes("bytes"), fields.integer("at")) as number;
      } finally {
        file.close();
      }
    }
    // The store below the tree has done it.
    case "load":
    case "sync":
    case "closed":
      return 0;
    default:
      throw new VolumeError("EINVAL");
  }
}

type AnyRequest = { [Name in KeysOf<TreeRequest>]?: unknown };
type KeysOf<Union> = Union extends unknown ? keyof Union : never;
type Field = keyof AnyRequest;

/** The fields of a request, each checked when it is read, and the nodes that they name. */
class RequestFields {
  readonly op: TreeRequest["op"] | undefined;
  readonly #request: AnyRequest;
  readonly #nodes: MemoryNode[] = [];

  constructor(
    request: unknown,
    private readonly find: FindNode,
  ) {
    this.#request = (typeof request === "object" ? request : null) ?? {};
    this.op = this.#request.op as TreeRequest["op"];
  }

  close(): void {
    for (const node of this.#nodes) node.close();
  }

  node(field: Field): MemoryNode {
    const node = this.find(this.integer(field));
    this.#nodes.push(node);
    return node;
  }

  /** Returns the number of a node that is new. */
  made(node: MemoryNode): number {
    this.#nodes.push(node);
    return node.stat().inode;
  }

  integer(field: Field): number {
    const value = this.#request[field];
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw new VolumeError("EINVAL");
    return value as number;
  }

  time(field: Field): number {
    const value = this.#request[field];
    if (!Number.isFinite(value)) throw new VolumeError("EINVAL");
    return value as number;
  }

  /** Returns true for a field that is true, or has the given value. */
  flag(field: Field, value: unknown = true): boolean {
    return this.#request[field] === value;
  }

  name(field: Field): string {
    const name = this.text(field);
    // The tree itself says what is too long.
    if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) throw new VolumeError("EINVAL");
    return name;
  }

  text(field: Field): string {
    const value = this.#request[field];
    // A character for each byte.
    if (typeof value !== "string" || /[^\0-\xff]/.test(value)) throw new VolumeError("EINVAL");
    if (value.length > MAX_TEXT_BYTES) throw new VolumeError("ENAMETOOLONG");
    return value;
  }

  bytes(field: Field): Uint8Array {
    const value = this.#request[field];
    if (!(value instanceof Uint8Array) || value.byteLength > MAX_WRITE_BYTES) throw new VolumeError("EINVAL");
    return value;
  }

  optional(field: Field, read: (field: Field) => number): object {
    return this.#request[field] === undefined ? {} : { [field]: read(field) };
  }
}
