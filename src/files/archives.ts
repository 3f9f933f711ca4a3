import { invalid } from "../backend/errors.js";
import { type Source, toStream } from "../exec/byte-source.js";
import { untilAborted } from "../util/abort.js";

/** Formats that begin with these bytes, and are no tar archives. */
const COMPRESSED: readonly (readonly [name: string, magic: readonly number[]])[] = [
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["lz4", [0x04, 0x22, 0x4d, 0x18]],
  ["compress", [0x1f, 0x9d]],
  ["zip", [0x50, 0x4b, 0x03, 0x04]],
  ["7-Zip", [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]],
];
const GZIP = [0x1f, 0x8b];
/** Size of a tar archive's first block, the header of its first entry. */
const HEADER_BYTES = 512;
const CHECKSUM_AT = 148;
const CHECKSUM_END = 156;
const SPACE = 32;

/**
 * Opens a tar archive as a stream, with the flag by which `tar` reads it: "z" for gzip, which `tar` in the box inflates. Rejects with the signal's reason when
 * `signal` aborts. The source is canceled when this rejects.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when the archive has another compression, which the message names, or is not a tar archive
 */
export async function tarOf(
  archive: Exclude<Source, string>,
  signal?: AbortSignal,
): Promise<{ stream: ReadableStream<Uint8Array>; flag: "" | "z" }> {
  if (typeof archive === "string")
    throw invalid("an archive must be bytes, a Blob or a ReadableStream, got a string");
  const reader = toStream(archive).stream.getReader();
  const chunks: Uint8Array[] = [];
  const start: number[] = [];
  const begins = (magic: readonly number[]) => magic.every((byte, i) => start[i] === byte);
  try {
    while (start.length < HEADER_BYTES) {
      const { value } = await untilAborted(reader.read(), signal);
      if (!value) break;
      if (!(value instanceof Uint8Array)) throw invalid("an archive must be a stream of bytes");
      chunks.push(value);
      start.push(...value.subarray(0, HEADER_BYTES));
    }
    const found = COMPRESSED.find(([, magic]) => begins(magic));
    if (found)
      throw invalid(
        `the archive is compressed with ${found[0]}, and unpack takes tar archives, plain or compressed with gzip`,
        "decompress it first, or upload it and unpack it by a program of the box that reads it",
      );
    if (!begins(GZIP) && !isTarHeader(start.slice(0, HEADER_BYTES)))
      throw invalid("this is not a tar archive, plain or compressed with gzip", "files.write puts one file");
  } catch (error) {
    // Not awaited: a source may take its time, and the caller has its answer.
    reader.cancel(error).catch(() => {});
    throw error;
  }
  const stream = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const value = chunks.shift() ?? (await reader.read()).value;
        if (value) controller.enqueue(value);
        else controller.close();
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return { stream, flag: begins(GZIP) ? "z" : "" };
}

/** True for a header, which holds its own checksum, and for the zeroes that an empty archive begins with. */
function isTarHeader(block: readonly number[]): boolean {
  const stored = block.slice(CHECKSUM_AT, CHECKSUM_END);
  const others = [...block.slice(0, CHECKSUM_AT), ...block.slice(CHECKSUM_END)];
  const told = Number.parseInt(String.fromCharCode(...stored).replaceAll("\0", " "), 8);
  const sum = others.reduce((total, byte) => total + byte, stored.length * SPACE);
  // Some old programs summed signed bytes.
  const signed = sum - 256 * others.filter((byte) => byte > 127).length;
  return (
    block.length === HEADER_BYTES && (told === sum || told === signed || block.every((byte) => byte === 0))
  );
}
