import { VolumeError } from "./errno.js";
import type { SharedNode } from "./fids.js";
import { type Mount, requireKind } from "./mount.js";

/** Links that a path may go over, as in Linux. */
const MAX_LINKS = 40;
const FOLDER_MODE = 0o755;

/** The error of a path that leads out of its volume: to an absolute path in the box, or up from the place of a volume. */
export class LeadsOut extends Error {
  constructor(
    readonly path: string,
    readonly volume: number | undefined,
  ) {
    super("the path leads out of the volume");
  }
}

/** The end of a path. */
export interface PathEnd {
  /** Directory that has the name; undefined when the path is that of a whole volume, or ends with "..". */
  folder: SharedNode | undefined;
  name: string;
  /** Node of that name; undefined when there is none. */
  found: SharedNode | undefined;
  /** Path in the volume without links, "" for a whole volume. */
  path: string;
}

/** Goes along paths in the volumes of a mount, and holds what it finds until it is closed. */
export class PathWalk {
  private readonly held: SharedNode[] = [];

  constructor(private readonly mount: Mount) {}

  close(): void {
    for (const node of this.held.splice(0)) node.release();
  }

  /** Finds what has a path. @throws {VolumeError} ENOENT, ENOTDIR, ELOOP; {LeadsOut} when only the guest can go on */
  async find(path: string, follow: boolean): Promise<SharedNode> {
    const { found } = await this.end(path, { follow });
    if (!found) throw new VolumeError("ENOENT");
    return found;
  }

  /** Finds the directory of a path, and what has its last name, if anything does. Creates missing directories above it with `make`. */
  async end(path: string, { follow, make = false }: { follow: boolean; make?: boolean }): Promise<PathEnd> {
    const [volume = "", ...names] = path.split("/").filter((name) => name !== "");
    const wantsDirectory = path.endsWith("/");
    const above = [this.hold(await this.mount.find(this.mount.root, volume))];
    const steps: string[] = [];
    for (let links = 0; names.length > 0; ) {
      const folder = above.at(-1)!;
      const name = names.shift()!;
      if (name === ".") continue;
      if (name === "..") {
        if (above.length === 1) throw new LeadsOut([name, ...names].join("/"), Number(volume));
        above.pop();
        steps.pop();
        continue;
      }
      const isLast = names.length === 0;
      const found = await this.entry(folder, name);
      if (found?.node.kind === "link" && (!isLast || follow || wantsDirectory)) {
        if (++links > MAX_LINKS) throw new VolumeError("ELOOP");
        const target = await found.node.target();
        if (target.startsWith("/")) throw new LeadsOut([target, ...names].join("/"), undefined);
        names.unshift(...target.split("/").filter((step) => step !== ""));
        continue;
      }
      if (isLast) {
        if (found && wantsDirectory) requireKind(found.node, "directory");
        return { folder, name, found, path: pathOf([...steps, name]) };
      }
      if (!found && !make) throw new VolumeError("ENOENT");
      const next = found ?? (await this.makeDirectory(folder, name, FOLDER_MODE));
      requireKind(next.node, "directory");
      above.push(next);
      steps.push(name);
    }
    return { folder: undefined, name: "", found: above.at(-1)!, path: pathOf(steps) };
  }

  /** Creates a directory. @throws {VolumeError} EROFS when its volume is read-only */
  async makeDirectory({ node, volume }: SharedNode, name: string, mode: number): Promise<SharedNode> {
    this.mount.requireWritable(volume);
    return this.hold(this.mount.adopt(await node.makeDirectory(name, mode), volume));
  }

  hold(node: SharedNode): SharedNode {
    this.held.push(node);
    return node;
  }

  private async entry(folder: SharedNode, name: string): Promise<SharedNode | undefined> {
    try {
      return this.hold(await this.mount.find(folder, name));
    } catch (error) {
      if ((error as { code?: unknown; errno?: unknown }).code === "ENOENT") return undefined;
      if (error instanceof VolumeError && error.errno === "ENOENT") return undefined;
      throw error;
    }
  }
}

function pathOf(steps: readonly string[]): string {
  return steps.map((step) => `/${step}`).join("");
}
