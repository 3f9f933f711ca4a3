import { type AssetSource, damaged } from "./asset-source.js";
import type { AssetManifest, ImageManifest } from "./manifest.js";

/** Places of the files that one machine is made of: URLs that end in "/". */
export interface MachinePlaces {
  /** Folder of the emulator, the kernel and the agent. */
  assets: string;
  /** Folder of the image, where it is another one. */
  imageAssets?: string;
}

/**
 * Joins the assets of the package with images that lie in a folder of their own, `from`. The files that all images share, the emulator among them, stay the package's.
 *
 * @throws {BoxRunError} IMAGE_PULL_FAILED when an image has a file by the name of one of those
 */
export function joinManifests(core: AssetManifest, other: AssetManifest, from: AssetSource): AssetManifest {
  const own = other.images.flatMap((image) => ownFiles(other, image));
  const shared = new Set(sharedFiles(core).map(([name]) => name));
  const taken = own.find(([name]) => shared.has(name));
  if (taken)
    throw damaged(from, "manifest.json", `has an image with a file ${taken[0]}, which is the package's own`);
  const names = new Set(other.images.map(({ name }) => name));
  return {
    ...core,
    files: { ...core.files, ...Object.fromEntries(own) },
    images: [...core.images.filter(({ name }) => !names.has(name)), ...other.images],
  };
}

type NamedFile = [string, AssetManifest["files"][string]];

/** Returns the names and entries of the files that are not one image's own: the emulator, the kernel, the agent and the disk templates. */
export function sharedFiles(manifest: AssetManifest): NamedFile[] {
  const own = new Set(manifest.images.flatMap((image) => ownFiles(manifest, image).map(([name]) => name)));
  return Object.entries(manifest.files).filter(([name]) => !own.has(name));
}

/** Returns the names and entries of the files that only this image needs, beside its chunks. */
export function ownFiles({ files }: AssetManifest, image: ImageManifest): NamedFile[] {
  const names = new Set([image.base, ...image.bootImages.map(({ name }) => name)]);
  return [...names].flatMap((name) => {
    const entry = files[name];
    return entry ? [[name, entry] as NamedFile] : [];
  });
}

/** Returns a source that reads what belongs to an image, its chunks among it, from the image's folder, and all else from the package's. */
export function joinSources(
  core: AssetSource,
  image: AssetSource,
  own: readonly { file: string }[],
): AssetSource {
  const files = new Set(own.map(({ file }) => file));
  const of = (file: string) => (file.startsWith("chunks/") || files.has(file) ? image : core);
  return {
    location: `${core.location} and ${image.location}`,
    keeps: core.keeps === true ? image.keeps : core.keeps,
    gunzip: core.gunzip,
    read: (file, options) => of(file).read(file, options),
    readLatest: (file, isRight) => of(file).readLatest(file, isRight),
    isHere: (file) => of(file).isHere(file),
    inflated: {
      get: async (file) => of(file).inflated?.get(file),
      put: async (file, contents) => of(file).inflated?.put(file, contents),
    },
  };
}

/** Opens the source of a machine's files. */
export function openMachineSource(
  { assets, imageAssets }: MachinePlaces,
  manifest: AssetManifest,
  image: ImageManifest,
  open: (location: string, part?: string) => AssetSource,
): AssetSource {
  const core = open(assets);
  if (imageAssets === undefined) return core;
  const own = ownFiles(manifest, image).map(([, entry]) => entry);
  return joinSources(core, open(imageAssets, image.name), own);
}
