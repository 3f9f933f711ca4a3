import type { AssetManifest, ImageManifest } from "../assets/manifest.js";
import type { MachineConfig } from "./messages.js";

/** A boot image as the manifest lists it. */
export type ListedBootImage = ImageManifest["bootImages"][number];

/** Names of the assets from which a machine boots that has no boot image. */
export const COLD_BOOT_ASSETS = ["kernel", "agent", "bios", "vgabios"];

/** Returns the names of the assets that a machine loads before it runs, beside the emulator and its image's chunks. */
export function neededAssets(config: MachineConfig): string[] {
  const { base } = imageOf(config.manifest, config.image);
  const listed = config.forBootImage ? undefined : findBootImage(config);
  const boot = listed ? [listed.name] : COLD_BOOT_ASSETS;
  return [base, ...boot, ...(config.disk !== null && listed?.disk !== config.disk ? [config.disk] : [])];
}

/** Finds the manifest's boot image for a machine, if there is one, preferably one for its new disk. */
export function findBootImage({
  manifest,
  image,
  memoryMb,
  disk,
}: MachineConfig): ListedBootImage | undefined {
  const fitting = imageOf(manifest, image).bootImages.filter((listed) => listed.memoryMb === memoryMb);
  const forNew = disk === null ? undefined : fitting.find((listed) => listed.disk === disk);
  return forNew ?? fitting.find((listed) => listed.disk === null);
}

/** Finds an image in a manifest that has it. */
export function imageOf(manifest: AssetManifest, name: string): ImageManifest {
  const image = manifest.images.find((candidate) => candidate.name === name);
  if (!image) throw new Error(`the manifest has no image ${name}`);
  return image;
}
