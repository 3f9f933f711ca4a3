import { wireDone } from "../contract/wire.js";
import type { Http } from "./http.js";
import { fromSource, multipart } from "./upload.js";
import { PIECE_BYTES, type PieceServer, uploadInPieces } from "./upload-pieces.js";

/** What a server without a field for the mode gives a file. */
const PLAIN_MODE = 0o644;

/** Sends one file to a server of the published API, which takes 2 MB at once and no mode: what is more than that goes in pieces, and by commands in the box. */
export async function uploadPlain(
  http: Http,
  box: string,
  path: string,
  file: ReadableStream<Uint8Array>,
  options: { mode: number; signal?: AbortSignal },
  commands: Omit<PieceServer, "put">,
): Promise<void> {
  await fromSource(file, options.signal, async (source, { signal }) => {
    const put = async (dest: string, bytes: Uint8Array) => {
      const { head, tail, contentType } = multipart({ dest });
      const content = new Blob([head, bytes, tail] as BlobPart[]);
      const withinMs = http.clocks.lifecycleMs;
      await http.json("upload", wireDone, {
        params: { box },
        body: { content, contentType },
        signal,
        withinMs,
      });
    };
    const pieces = source.pieces(PIECE_BYTES);
    const first = await pieces.next();
    const second = await pieces.next();
    if (second.done && options.mode === PLAIN_MODE) return put(path, first.value as Uint8Array);
    const all = async function* () {
      if (!first.done) yield first.value;
      if (!second.done) yield second.value;
      yield* pieces;
    };
    await uploadInPieces({ put, ...commands }, path, all(), { mode: options.mode, signal });
  });
}
