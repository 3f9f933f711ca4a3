import { BoxRunError } from "../../backend/errors.js";
import { retryLater } from "../../util/retry-later.js";
import { VERSION } from "../../util/version.js";
import type { AssetPlaces } from "../assets/asset-places.js";
import { isMissing } from "../assets/asset-source.js";
import { Assets } from "../assets/assets.js";
import { findAssets } from "../assets/find-assets.js";
import { findImage, hasName, installLine } from "../assets/find-image.js";
import { joinManifests, type MachinePlaces, openMachineSource } from "../assets/joined-source.js";
import { type ImageManifest, readManifest } from "../assets/manifest.js";
import type { Host } from "../host/host.js";
import type { ImagePackage, LocalOptions } from "./options.js";

/** An image, with the files that its boxes are made of. */
export interface FoundImage {
  image: ImageManifest;
  assets: Assets;
  places: MachinePlaces;
  /** Warnings for its boxes. */
  notes: string[];
}

/** The folders that have images: the package's own, those of `local.images`, and those of installed packages. */
export class ImageSearch {
  private core: Promise<Assets> | undefined;
  /** Images of other folders, by their location. */
  private readonly others = new Map<string, Promise<FoundImage>>();
  /** Images that the package's folder lists, and that are known to be there. */
  private readonly present = new Set<ImageManifest>();

  constructor(
    private readonly host: Host,
    private readonly options: LocalOptions,
  ) {}

  /** Finds an image by one of its names. @throws {BoxRunError} IMAGE_PULL_FAILED */
  async find(asked: string): Promise<FoundImage> {
    const core = await this.open();
    const listed = core.manifest.images.find((image) => hasName(image, asked));
    const choose = (images: ImageManifest[], missing?: ImageManifest[]) =>
      findImage({ images }, asked, this.options.strictImages, missing);
    if (listed && (await this.isPresent(core, listed))) return this.ofCore(core, choose([listed]));
    const all = await this.all();
    const images = all.map(({ image }) => image);
    if (listed?.package === undefined || images.some((image) => hasName(image, asked))) {
      const names = images.map(({ name }) => name);
      const image = choose(
        images,
        core.manifest.images.filter(({ name }) => !names.includes(name)),
      );
      return all.find((found) => found.image === image)!;
    }
    choose([listed]);
    throw notInstalled(asked, listed.package, this.host.findPackage !== undefined);
  }

  /** Returns all images that are there. @throws {BoxRunError} IMAGE_PULL_FAILED */
  async all(): Promise<FoundImage[]> {
    const core = await this.open();
    const given = await Promise.all((this.options.images ?? []).map((one) => this.openOther(core, one)));
    const names = new Set(given.map(({ image }) => image.name));
    const own: FoundImage[] = [];
    for (const image of core.manifest.images) {
      if (await this.isPresent(core, image)) own.push(this.ofCore(core, image));
      else if (!names.has(image.name)) own.push(...(await this.installed(core, image)));
    }
    const ownNames = new Set(own.map(({ image }) => image.name));
    return [...own, ...given.filter(({ image }) => !ownNames.has(image.name))];
  }

  /** Opens the package's own folder and reads its manifest, once. @throws {BoxRunError} IMAGE_PULL_FAILED */
  open(): Promise<Assets> {
    this.core ??= retryLater(this.readCore(), () => {
      this.core = undefined;
    });
    return this.core;
  }

  private async readCore(): Promise<Assets> {
    const { cache } = this.options;
    const { source, manifest } = await findAssets(this.places(), (place) =>
      this.host.openSource(place, cache),
    );
    return new Assets(source, manifest);
  }

  private places(): AssetPlaces {
    return this.host.assetPlaces(this.options.assets);
  }

  private ofCore(assets: Assets, image: ImageManifest): FoundImage {
    return { image, assets, places: { assets: assets.source.location }, notes: [] };
  }

  /** Returns true unless the package's folder lists an image that it does not have, since that has a package of its own. */
  private async isPresent(core: Assets, image: ImageManifest): Promise<boolean> {
    if (image.package === undefined || this.present.has(image)) return true;
    // The published package has no image that has a package of its own.
    if (this.places().packageUrl) return false;
    try {
      await core.load(image.base);
    } catch (error) {
      // Without a network nobody can tell; and a file that is damaged is there.
      return !isMissing(error);
    }
    this.present.add(image);
    return true;
  }

  private async installed(core: Assets, image: ImageManifest): Promise<FoundImage[]> {
    const { name, package: from } = image;
    if (from === undefined) return [];
    const folder = this.host.findPackage?.(from);
    if (folder) return [await this.openOther(core, { name, assets: `${folder}assets/` })];
    const published = this.places().packageUrl?.(from);
    return published === undefined ? [] : this.published(core, image, `${published}assets/`);
  }

  /** Returns an image whose files are in a published package, as the package's own manifest describes them, or none if they are not there. */
  private async published(core: Assets, image: ImageManifest, location: string): Promise<FoundImage[]> {
    const known = this.others.get(location);
    if (known) return [await known];
    const { cache } = this.options;
    const places = { assets: core.source.location, imageAssets: location };
    const open = (place: string, part?: string) => this.host.openSource(place, cache, part);
    const assets = new Assets(openMachineSource(places, core.manifest, image, open), core.manifest);
    const found = { image, assets, places, notes: [] };
    try {
      await assets.load(image.base);
      this.others.set(location, Promise.resolve(found));
    } catch (error) {
      if (isMissing(error)) return [];
    }
    return [found];
  }

  private openOther(core: Assets, given: ImagePackage): Promise<FoundImage> {
    const location = this.host.assetPlaces(given.assets).locations[0]!;
    const known = this.others.get(location);
    if (known) return known;
    const opened = retryLater(this.readOther(core, given.name, location), () => this.others.delete(location));
    this.others.set(location, opened);
    return opened;
  }

  private async readOther(core: Assets, name: string, location: string): Promise<FoundImage> {
    const { cache } = this.options;
    const open = (place: string, part?: string) => this.host.openSource(place, cache, part);
    const source = open(location, name);
    const theirs = await readManifest(source);
    const image = theirs.images.find((one) => one.name === name);
    if (!image) {
      throw new BoxRunError("IMAGE_PULL_FAILED", `manifest.json at ${location} has no image ${name}`, {
        hint: "give local.images the default export of an image's package",
      });
    }
    const manifest = joinManifests(core.manifest, { ...theirs, images: [image] }, source);
    const places = { assets: core.source.location, imageAssets: location };
    const assets = new Assets(openMachineSource(places, manifest, image, open), manifest);
    return { image, assets, places, notes: versionNotes(image, theirs.boxrun) };
  }
}

/** Boot images of another version cannot be used: that is safe, but slow. */
function versionNotes({ name, package: from }: ImageManifest, theirs: string | undefined): string[] {
  if (theirs === undefined || VERSION === undefined || theirs === VERSION) return [];
  const fix = from === undefined ? "" : `: ${installLine(from)}`;
  return [`the image ${name} is of version ${theirs} of boxrun, and this is ${VERSION}${fix}`];
}

function notInstalled(asked: string, from: string, inRuntime: boolean): BoxRunError {
  const install = installLine(from);
  return new BoxRunError(
    "IMAGE_PULL_FAILED",
    `the local image ${JSON.stringify(asked)} has a package of its own, which is not here: ${from}`,
    {
      hint: inRuntime
        ? install
        : `${install}, then npx boxrun assets public/boxrun --image ${JSON.stringify(asked)}`,
    },
  );
}
