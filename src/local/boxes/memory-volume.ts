import type { MemorySource } from "../../backend/backend.js";
import { invalid } from "../../backend/errors.js";
import { requireOptions, shown } from "../../backend/validate.js";
import { MemoryTree } from "../volumes/memory-tree.js";
import { TreeOriginal } from "../volumes/tree-original.js";
import { filesOf, TreeFiles } from "./memory-volume-files.js";
import type {
  MemoryVolume,
  MemoryVolumeFiles,
  MemoryVolumeOptions,
  VolumeFileMap,
} from "./memory-volume-types.js";

const ORIGINALS = new WeakMap<MemorySource, TreeOriginal>();

/**
 * Makes a volume in the memory of this page or process: its programs use `files`, and any number of boxes that run here mount it. What either side writes, the others see at once.
 * Nothing of it is stored.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when a path, contents or an option is wrong
 * @throws {BoxRunError} STORAGE_FULL when the files have no room
 *
 * @example
 * const source = memoryVolume({ "/main.py": "print(42)" });
 * await using box = await client.create("python", { volumes: [{ source, guestPath: "/work" }] });
 * await source.files.write("/main.py", "print(43)");
 * await box.exec("python3 /work/main.py");   // "43\n"
 */
export function memoryVolume(files: VolumeFileMap = {}, options: MemoryVolumeOptions = {}): MemoryVolume {
  requireOptions(options, { maxBytes: true, maxFiles: true });
  for (const [name, value] of Object.entries(options))
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
      throw invalid(`${name} must be an integer greater than 0, got ${shown(value)}`);
  const { maxBytes, maxFiles } = options;
  const tree = new MemoryTree({
    ...(maxBytes !== undefined && { maxBytes }),
    ...(maxFiles !== undefined && { maxFiles }),
  });
  return new Volume(new TreeOriginal(tree), files);
}

/** Returns the tree of a volume. @throws {BoxRunError} VALIDATION_ERROR when it is of another copy of the package */
export function originalOf(source: MemorySource): TreeOriginal {
  const original = ORIGINALS.get(source);
  if (original) return original;
  throw invalid(
    "the source of a volume was not made by this copy of boxrun",
    'use memoryVolume() of the "boxrun/local" that belongs to the client',
  );
}

class Volume implements MemoryVolume {
  readonly kind = "memory";
  readonly files: MemoryVolumeFiles;

  constructor(original: TreeOriginal, files: VolumeFileMap) {
    const own = new TreeFiles(original);
    for (const [path, file] of filesOf(files)) own.put(path, file);
    this.files = own;
    ORIGINALS.set(this, original);
  }
}
