import type { ImageInfo, TransferProgress } from "../../backend/backend.js";
import { BoxRunError, unsupported } from "../../backend/errors.js";
import { DEFAULT_MEMORY_MB } from "../../contract/schemas.js";
import { retryLater } from "../../util/retry-later.js";
import type { Assets, VerifiedFile } from "../assets/assets.js";
import { fetchAll, loadChunkList } from "../assets/image-chunks.js";
import type { ImageManifest } from "../assets/manifest.js";
import type { Host } from "../host/host.js";
import { COLD_BOOT_ASSETS } from "../machine/needed-assets.js";
import type { BoxRecord } from "../store/record.js";
import { type FoundImage, ImageSearch } from "./image-search.js";
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
  private readonly search: ImageSearch;
  private emulator: Promise<WebAssembly.Module> | undefined;

  constructor(
    private readonly host: Host,
    options: LocalOptions,
  ) {
    this.search = new ImageSearch(host, options);
  }

  /** Lists the images that are there. */
  async list(): Promise<ImageInfo[]> {
    return (await this.search.all()).map(({ image, assets }) => ({
      name: image.name,
      aliases: [...image.aliases, ...image.standsFor],
      standsFor: image.standsFor,
      description: image.description,
      downloadBytes:
        assets.downloadBytes(["v86.wasm", image.base, defaultBootImage(image)]) +
        (this.host.workerScript?.(assets.manifest)?.bytes ?? 0),
      totalBytes: this.pullFiles(assets, image).bytes + image.baseDownloadBytes,
    }));
  }

  /** Fetches a whole image. @throws {BoxRunError} IMAGE_PULL_FAILED; UNSUPPORTED when nothing that is fetched can be kept */
  async pull(
    name: string,
    { signal, onProgress }: { signal?: AbortSignal; onProgress?: (progress: TransferProgress) => void },
  ): Promise<void> {
    const { assets, image } = await this.find(name);
    const { source } = assets;
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
    const listed = [...names].flatMap((name) => manifest.files[name] ?? []);
    const script = this.host.workerScript?.(manifest);
    const files: VerifiedFile[] = script ? [...listed, script] : listed;
    return { files, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
  }

  /** Compiles the emulator, once for all boxes. */
  compileEmulator(assets: Assets): Promise<WebAssembly.Module> {
    this.emulator ??= retryLater(assets.compile("v86.wasm"), () => {
      this.emulator = undefined;
    });
    return this.emulator;
  }

  /** Finds an image by one of its names. @throws {BoxRunError} IMAGE_PULL_FAILED */
  find(asked: string): Promise<FoundImage> {
    return this.search.find(asked);
  }

  /** Returns the image of a box. @throws {BoxRunError} IMAGE_PULL_FAILED, STATE_MISMATCH */
  async imageOf({ spec, image: made, id }: BoxRecord): Promise<FoundImage> {
    const found = await this.find(made?.name ?? spec.image);
    const { image } = found;
    // A record without a hash belongs to the first image of that name, or to a box that is being created.
    const base = made?.baseSha256 ?? (made?.base && BASE_OF_CHUNK_LIST[made.base]) ?? made?.base;
    if (!base || base === image.baseSha256) return found;
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
