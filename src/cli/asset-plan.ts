import { invalid } from "../backend/errors.js";
import { loadChunkList } from "../local/assets/image-chunks.js";
import { ownFiles, sharedFiles } from "../local/assets/joined-source.js";
import type { AssetManifest, ImageManifest } from "../local/assets/manifest.js";
import { type FoundImage, ImageSearch } from "../local/boxes/image-search.js";
import { nodeHost } from "../local/host/host-node.js";
import { besideBuild } from "../util/beside-build-node.js";
import type { FolderFiles } from "./recorded-folder.js";

/** A folder of assets for some images. */
export interface AssetPlan {
  /** Names of the images. */
  images: string[];
  files: FolderFiles;
  /** Size of the assets, in bytes. */
  bytes: number;
}

/**
 * Plans a copy of the named images, and of what all images need, out of the package and the installed packages of images.
 *
 * @param memoryMb sizes of boxes whose boot images are copied; undefined: all that there are
 * @throws {BoxRunError} IMAGE_PULL_FAILED when there is no such image, VALIDATION_ERROR when an image has no boot image of a size
 */
export async function planAssets(asked: readonly string[], memoryMb?: readonly number[]): Promise<AssetPlan> {
  const search = new ImageSearch(nodeHost, {});
  const found = new Map<string, FoundImage>();
  for (const name of asked) {
    const one = await search.find(name);
    found.set(one.image.name, { ...one, image: withBootImages(one.image, memoryMb) });
  }
  const { manifest: core, source } = await search.open();
  const files = new Map<string, URL | string>();
  let bytes = 0;
  const add = (folder: string, file: { file: string; bytes: number }) => {
    if (!files.has(file.file)) bytes += file.bytes;
    files.set(file.file, new URL(file.file, folder));
  };

  const shared = sharedFiles(core);
  const listed: AssetManifest["files"] = Object.fromEntries(shared);
  for (const [, file] of shared) add(source.location, file);
  if (core.worker) add(source.location, core.worker);
  for (const { image, assets, places } of found.values()) {
    const folder = places.imageAssets ?? places.assets;
    for (const [name, file] of ownFiles(assets.manifest, image)) {
      listed[name] = file;
      add(folder, file);
    }
    for (const chunk of await loadChunkList(assets, image)) add(folder, chunk);
  }
  files.set("NOTICE", besideBuild("../../NOTICE"));
  const images = [...found.values()].map(({ image }) => image);
  files.set("manifest.json", `${JSON.stringify({ ...core, files: listed, images }, null, 1)}\n`);
  return { images: [...found.keys()], files, bytes };
}

/** Returns an image with its boot images of some sizes only. Boxes of other sizes boot without one. */
function withBootImages(image: ImageManifest, memoryMb: readonly number[] | undefined): ImageManifest {
  if (!memoryMb) return image;
  const sizes = new Set(image.bootImages.map((one) => one.memoryMb));
  const none = memoryMb.find((size) => !sizes.has(size));
  if (none === undefined)
    return { ...image, bootImages: image.bootImages.filter((one) => memoryMb.includes(one.memoryMb)) };
  throw invalid(
    `--memory must be ${[...sizes].join(" or ")}, the sizes with boot images of ${image.name}, got ${none}`,
    "boxes of all other sizes boot without one, from any copy",
  );
}
