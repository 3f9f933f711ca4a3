import { toHex } from "../../util/bytes.js";
import { type AssetSource, damaged, isOffline } from "./asset-source.js";
import { type Assets, loadVerified, type VerifiedFile } from "./assets.js";
import type { ImageManifest } from "./manifest.js";

/** Size of an image's chunk, uncompressed, as the build cuts it. Large enough that a program takes one request, small enough to waste little on a small one. */
export const IMAGE_CHUNK_BYTES = 256 * 1024;
/** Sizes in the list of chunks: the SHA-256 of the chunk's contents, and the length of its file. */
const HASH_BYTES = 32;
const ENTRY_BYTES = HASH_BYTES + 4;
/** Number of bytes by which gzip can at most enlarge data that it cannot compress. */
const MAX_PACKED_BYTES = IMAGE_CHUNK_BYTES + 1024;
/** Number of digits of the hash in a chunk's file name. */
const NAME_DIGITS = 20;
/** Number of chunks that are kept inflated. 16 MB are enough, since the guest's own page cache keeps what it has read. */
const KEPT_CHUNKS = 64;
/** Number of chunks that are fetched ahead of a guest that reads sequentially. */
const AHEAD = 2;
/** Number of parallel requests when a whole image is fetched. */
const PARALLEL = 6;

/** Loads an image's list of chunks. @throws {BoxRunError} IMAGE_PULL_FAILED, also when it is malformed */
export async function loadChunkList(assets: Assets, image: ImageManifest): Promise<VerifiedFile[]> {
  const { base, baseBytes } = image;
  const list = await assets.load(base);
  const count = Math.ceil(baseBytes / IMAGE_CHUNK_BYTES);
  const refuse = (what: string) => damaged(assets.source, base, what);
  if (list.byteLength !== count * ENTRY_BYTES) throw refuse("does not have as many chunks as the image");
  const view = new DataView(list.buffer, list.byteOffset, list.byteLength);
  return Array.from({ length: count }, (_, i) => {
    const at = i * ENTRY_BYTES;
    const rawSha256 = toHex(list.subarray(at, at + HASH_BYTES));
    const bytes = view.getUint32(at + HASH_BYTES, true);
    if (bytes > MAX_PACKED_BYTES) throw refuse("has a chunk that is too large");
    return {
      file: `chunks/${rawSha256.slice(0, NAME_DIGITS)}.bin`,
      bytes,
      rawBytes: Math.min(IMAGE_CHUNK_BYTES, baseBytes - i * IMAGE_CHUNK_BYTES),
      rawSha256,
    };
  });
}

/** Reasons why a guest cannot read a part of its image now: no network or server, or a chunk that is damaged or missing. Null: it can. */
export interface ImageTrouble {
  offline: string | null;
  damaged: string | null;
}

/** The chunks of an image. Each is fetched when it is first read, once, and verified. */
export class ImageChunks {
  /** Chunks in order of use, the latest last. */
  private readonly kept = new Map<number, Uint8Array>();
  private readonly loading = new Map<number, Promise<Uint8Array>>();
  /** Number of the last chunk that was read. Initially one that no first read continues. */
  private last = -2;
  /** True while a failed chunk is retried for as long as the guest's disk may be silent. While it is false, reads fail soon. */
  patient = false;
  /** Called when an {@link ImageTrouble} begins or ends. */
  onTrouble: (trouble: ImageTrouble) => void = () => {};
  private readonly trouble: ImageTrouble = { offline: null, damaged: null };
  /**
   * True when a chunk could not be fetched because there was no network, and nothing has arrived since. The guest reads on page by page, and must not wait as long for
   * each.
   */
  private offline = false;
  /** Chunks that the guest could not read, damaged or missing, and that have not arrived since. */
  private readonly damaged = new Set<number>();

  private constructor(
    private readonly source: AssetSource,
    private readonly files: readonly VerifiedFile[],
    readonly byteLength: number,
  ) {}

  static async open(assets: Assets, image: ImageManifest): Promise<ImageChunks> {
    const files = await loadChunkList(assets, image);
    return new ImageChunks(assets.source, files, image.baseBytes);
  }

  /** Returns the contents of one chunk, at once if it is in memory. @throws {BoxRunError} IMAGE_PULL_FAILED */
  get(number: number): Uint8Array | Promise<Uint8Array> {
    if (number === this.last + 1) for (let i = 1; i <= AHEAD; i++) this.prefetch(number + i);
    this.last = number;
    const here = this.kept.get(number);
    if (!here) return this.read(number);
    this.keep(number, here);
    return here;
  }

  /** Loads a chunk for a reader. The failure of one that was only fetched ahead is not reported. */
  private read(number: number): Promise<Uint8Array> {
    return this.load(number).catch((error) => {
      if (!isOffline(error)) this.damaged.add(number);
      throw error;
    });
  }

  private prefetch(number: number): void {
    // A later reader sees its failure.
    if (!this.offline && number < this.files.length && !this.kept.has(number))
      this.load(number).catch(() => {});
  }

  private load(number: number): Promise<Uint8Array> {
    const under = this.loading.get(number);
    if (under) return under;
    const loading = this.fetch(number).finally(() => this.loading.delete(number));
    this.loading.set(number, loading);
    return loading;
  }

  /** Notes that a read by the guest has failed. */
  noteUnreadable(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.setTrouble(isOffline(error) ? "offline" : "damaged", why);
  }

  /** Reports only the first trouble of a kind: everybody who watches boxes gets the list again at each change. */
  private setTrouble(kind: keyof ImageTrouble, why: string | null): void {
    if ((this.trouble[kind] === null) === (why === null)) return;
    this.trouble[kind] = why;
    this.onTrouble({ ...this.trouble });
  }

  private async fetch(number: number): Promise<Uint8Array> {
    const file = this.files[number]!;
    const { offline } = this;
    try {
      // A cached chunk says nothing about the network.
      const isKept = offline && (await this.source.isHere(file.file));
      const tries = offline ? { tries: 1 } : this.patient ? { tries: Number.POSITIVE_INFINITY } : {};
      const bytes = await loadVerified(this.source, file, tries);
      // Nor does one that was already under way.
      if (offline && !isKept) this.offline = false;
      this.damaged.delete(number);
      if (!this.offline) this.setTrouble("offline", null);
      if (this.damaged.size === 0) this.setTrouble("damaged", null);
      this.keep(number, bytes);
      return bytes;
    } catch (error) {
      if (isOffline(error)) this.offline = true;
      throw error;
    }
  }

  private keep(number: number, bytes: Uint8Array): void {
    this.kept.delete(number);
    this.kept.set(number, bytes);
    if (this.kept.size > KEPT_CHUNKS) this.kept.delete(this.kept.keys().next().value!);
  }
}

/** Fetches every file that is not in the cache yet, so that the source stores it. @throws {BoxRunError} IMAGE_PULL_FAILED; rejects with the signal's reason */
export async function fetchAll(
  source: AssetSource,
  files: readonly VerifiedFile[],
  { signal, onBytes }: { signal?: AbortSignal; onBytes: (count: number) => void },
): Promise<void> {
  const queue = [...files];
  const failed = new AbortController();
  const stop = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  const work = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      stop.throwIfAborted();
      if (!(await source.isHere(file.file))) await loadVerified(source, file, { signal: stop });
      onBytes(file.bytes);
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, work));
  } catch (error) {
    failed.abort(error);
    throw error;
  }
}
