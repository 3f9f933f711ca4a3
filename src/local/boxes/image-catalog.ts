import type { ImageInfo, TransferProgress } from "../../backend/backend.js";
import { BoxRunError, unsupported } from "../../backend/errors.js";
import { DEFAULT_MEMORY_MB } from "../../contract/schemas.js";
import { retryLater } from "../../util/retry-later.js";
import { Assets } from "../assets/assets.js";
import { fetchAll, loadChunkList } from "../assets/image-chunks.js";
import { type ImageManifest, readManifest } from "../assets/manifest.js";
import type { Host } from "../host/host.js";
import { COLD_BOOT_ASSETS } from "../machine/needed-assets.js";
import type { BoxRecord } from "../store/record.js";
import type { LocalOptions } from "./options.js";

/** File system templates: one of the default size, and a small one that the guest grows. */
export const DEFAULT_DISK = "disk-8g";
export const GROWING_DISK = "disk-1g";

/** The emulator, and what a machine without a boot image boots from. */
const MACHINE_ASSETS = ["v86.wasm", ...COLD_BOOT_ASSETS];

/** SHA-256 of images by that of their packed list of chunks, which early records of boxes have. Only for images that have not changed since. */
const BASE_OF_CHUNK_LIST: Readonly<Record<string, string>> = {
  // tiny
  "4f501e23d650cbbd071604c4da5d8fbe475c1323fcced8317cfca176559d3018":
    "8932564797a6dcb5ea62d60cc4f8a3191c084317831da8143d2ff1ab65197bf4",
};

/** The images that boxes can be created from, by all their names, and the emulator that they run in. */
export class ImageCatalog {
  readonly location: string;
  private assets: Promise<Assets> | undefined;
  private emulator: Promise<WebAssembly.Module> | undefined;

  constructor(
    private readonly host: Host,
    private readonly options: LocalOptions,
  ) {
    this.location = host.assetsLocation(options.assets);
  }

  /** Lists the images. */
  async list(): Promise<ImageInfo[]> {
    const assets = await this.open();
    return assets.manifest.images.map((image) => ({
      name: image.name,
      aliases: [...image.aliases, ...image.standsFor],
      description: image.description,
      downloadBytes: assets.downloadBytes(["v86.wasm", image.base, defaultBootImage(image)]),
      totalBytes: this.pullFiles(assets, image).bytes + image.baseDownloadBytes,
    }));
  }

  /** Fetches a whole image. @throws {BoxRunError} IMAGE_PULL_FAILED; UNSUPPORTED when nothing that is fetched can be kept */
  async pull(
    name: string,
    { signal, onProgress }: { signal?: AbortSignal; onProgress?: (progress: TransferProgress) => void },
  ): Promise<void> {
    const assets = await this.open();
    const { source } = assets;
    const image = this.find(assets, name);
    if (source.keeps !== true) throw unsupported(`pull: ${source.keeps}`);
    const { files, bytes } = this.pullFiles(assets, image);
    const totalBytes = bytes + image.baseDownloadBytes;
    let loadedBytes = 0;
    const onBytes = (count: number) => {
      loadedBytes += count;
      onProgress?.({ loadedBytes, totalBytes });
    };
    const chunks = await loadChunkList(assets, image);
    await fetchAll(source, [...files, ...chunks], { ...(signal && { signal }), onBytes });
  }

  /** Returns the files that boxes of any size need, beside the chunks of their image. */
  private pullFiles({ manifest }: Assets, image: ImageManifest) {
    // A boot image of two machines is listed for each of them.
    const bootImages = image.bootImages.map(({ name }) => name);
    const names = new Set([...MACHINE_ASSETS, DEFAULT_DISK, GROWING_DISK, image.base, ...bootImages]);
    const files = [...names].flatMap((name) => manifest.files[name] ?? []);
    return { files, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
  }

  /** Opens the assets and reads their manifest, once. @throws {BoxRunError} IMAGE_PULL_FAILED */
  open(): Promise<Assets> {
    this.assets ??= retryLater(this.readAssets(), () => {
      this.assets = undefined;
    });
    return this.assets;
  }

  private async readAssets(): Promise<Assets> {
    const source = this.host.openSource(this.location, this.options.cache);
    return new Assets(source, await readManifest(source));
  }

  /** Compiles the emulator, once for all boxes. */
  compileEmulator(assets: Assets): Promise<WebAssembly.Module> {
    this.emulator ??= retryLater(assets.compile("v86.wasm"), () => {
      this.emulator = undefined;
    });
    return this.emulator;
  }

  /** Finds an image by one of its names. @throws {BoxRunError} IMAGE_PULL_FAILED */
  find({ manifest }: Assets, asked: string): ImageManifest {
    const { images } = manifest;
    const found = images.find(({ name, aliases }) => name === asked || aliases.includes(asked));
    if (found) return found;
    const standIn = images.find(({ standsFor }) => standsFor.includes(asked));
    if (standIn && !this.options.strictImages) return standIn;
    if (standIn) {
      throw new BoxRunError(
        "IMAGE_PULL_FAILED",
        `there is no local image ${JSON.stringify(asked)}, only a stand-in: ${standIn.description}`,
        { hint: `use ${JSON.stringify(standIn.name)}, or leave out local.strictImages` },
      );
    }
    const names = images.map(({ name, aliases, standsFor }) => {
      const others =
        this.options.strictImages || standsFor.length === 0 ? "" : `, for ${standsFor.join(", ")}`;
      return `${[name, ...aliases].join(", ")}${others}`;
    });
    throw new BoxRunError("IMAGE_PULL_FAILED", `there is no local image ${JSON.stringify(asked)}`, {
      hint: `the local images are: ${names.join("; ")}`,
    });
  }

  /** Returns the image of a box. @throws {BoxRunError} IMAGE_PULL_FAILED, STATE_MISMATCH */
  imageOf(assets: Assets, { spec, image: made, id }: BoxRecord): ImageManifest {
    const image = this.find(assets, made?.name ?? spec.image);
    // A record without a hash belongs to the first image of that name, or to a box that is being created.
    const base = made?.baseSha256 ?? (made?.base && BASE_OF_CHUNK_LIST[made.base]) ?? made?.base;
    if (!base || base === image.baseSha256) return image;
    throw new BoxRunError(
      "STATE_MISMATCH",
      `box ${id} was made from another build of the image ${image.name}, and its disk works only with that build`,
      { hint: "use the version of boxrun that made it" },
    );
  }
}

/** Returns the name of the boot image from which a box of the default size starts. */
function defaultBootImage(image: ImageManifest): string {
  const found = image.bootImages.find(
    ({ memoryMb, disk }) => memoryMb === DEFAULT_MEMORY_MB && disk !== null,
  );
  return found?.name ?? "kernel";
}
