import type { AssetSource } from "./asset-source.js";
import type { AssetManifest, ImageManifest } from "./manifest.js";

/** Places of the files that one machine is made of: URLs that end in "/". */
export interface MachinePlaces {
  /** Folder of the emulator, the kernel and the agent. */
  assets: string;
  /** Folder of the image, where it is another one. */
  imageAssets?: string;
}

/** Joins the assets of the package with an image that lies in a folder of its own. What the package has itself stays as it is. */
export function joinManifests(core: AssetManifest, other: AssetManifest): AssetManifest {
  const names = new Set(other.images.map(({ name }) => name));
  return {
    ...core,
    files: { ...core.files, ...Object.fromEntries(other.images.flatMap((image) => ownFiles(other, image))) },
    images: [...core.images.filter(({ name }) => !names.has(name)), ...other.images],
  };
}

/** Returns the names and entries of the files that only this image needs, beside its chunks. */
export function ownFiles(
  { files }: AssetManifest,
  image: ImageManifest,
): [string, AssetManifest["files"][string]][] {
  const names = new Set([image.base, ...image.bootImages.map(({ name }) => name)]);
  return [...names].flatMap((name) => {
    const entry = files[name];
    return entry ? [[name, entry] as [string, typeof entry]] : [];
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
