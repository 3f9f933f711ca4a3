import { type ErrnoName, VolumeError } from "../../../src/local/volumes/errno.js";
import type { VolumeNode } from "../../../src/local/volumes/volume-files.js";

/** Says which calls fail: the errno for a call on what has a path in the volume, "" for its root. */
type Refuse = (path: string, call: keyof VolumeNode) => ErrnoName | undefined;

/** Returns a node that refuses some calls, on itself and on all below, since root can read everything. */
export function refusing<Node extends VolumeNode>(node: Node, refuse: Refuse, path = ""): Node {
  return new Proxy(node, {
    get(target, key: keyof VolumeNode) {
      const value = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...args: never[]) => {
        const errno = refuse(path, key);
        if (errno) throw new VolumeError(errno);
        const result = (value as (...args: never[]) => unknown).apply(target, args);
        return key === "find" ? refusing(result as VolumeNode, refuse, `${path}/${args[0]}`) : result;
      };
    },
  });
}
