import type { AssetManifest, ImageManifest } from "../assets/manifest.js";
import type { MachineConfig } from "./messages.js";

/** A snapshot as the manifest has it. */
export type ListedSnapshot = ImageManifest["snapshots"][number];

/** Names of the assets that a machine loads before it runs, beside the emulator and its image's chunks. */
export function neededAssets(config: MachineConfig): string[] {
  const { base } = imageOf(config.manifest, config.image);
  const listed = config.forSnapshot ? undefined : findSnapshot(config);
  const boot = listed ? [listed.name] : ["kernel", "agent", "bios", "vgabios"];
  return [base, ...boot, ...(config.disk !== null && listed?.disk !== config.disk ? [config.disk] : [])];
}

/** The snapshot that the manifest has for this machine, if it has one: rather one for its new disk than one for any. */
export function findSnapshot({ manifest, image, memoryMb, disk }: MachineConfig): ListedSnapshot | undefined {
  const fitting = imageOf(manifest, image).snapshots.filter((listed) => listed.memoryMb === memoryMb);
  const forNew = disk === null ? undefined : fitting.find((listed) => listed.disk === disk);
  return forNew ?? fitting.find((listed) => listed.disk === null);
}

/** One image of a manifest that has it. */
export function imageOf(manifest: AssetManifest, name: string): ImageManifest {
  const image = manifest.images.find((candidate) => candidate.name === name);
  if (!image) throw new Error(`the manifest has no image ${name}`);
  return image;
}
