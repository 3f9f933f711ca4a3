import type { UploadSpec } from "../../backend/backend.js";
import { unsupported } from "../../backend/errors.js";
import { DEFAULT_FILE_MODE } from "../../contract/schemas.js";
import { wireDone } from "../../contract/wire.js";
import type { Http } from "../http/http.js";
import { fromSource, multipart } from "./upload.js";
import { inspect, PIECE_BYTES, type PieceServer, uploadInPieces } from "./upload-pieces.js";

/**
 * Sends one file to a server of the published API, which takes 2 MB at once and no mode, and does not say what it does to an existing file. So only a small
 * file that is new, or one for a box without a shell, is written by the server alone; any other goes in pieces, and by commands in the box.
 */
export async function uploadPlain(
  http: Http,
  box: string,
  path: string,
  file: ReadableStream<Uint8Array>,
  options: UploadSpec,
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
    const place = await inspect(commands, path, signal);
    const pieces = source.pieces(PIECE_BYTES);
    const first = await pieces.next();
    const second = await pieces.next();
    const mode = options.mode ?? options.newMode ?? DEFAULT_FILE_MODE;
    const isPlain = second.done && mode === DEFAULT_FILE_MODE && (place === "new" || place === "unknown");
    if (isPlain) return put(path, first.value as Uint8Array);
    if (place === "unknown")
      throw unsupported(
        `upload to ${path}: the box has no shell, without which this server accepts at most ${PIECE_BYTES} bytes, with mode 644`,
        "use an image with /bin/sh, or a server of this package",
      );
    const all = async function* () {
      if (!first.done) yield first.value;
      if (!second.done) yield second.value;
      yield* pieces;
    };
    await uploadInPieces({ put, ...commands }, path, all(), { ...options, place, signal });
  });
}
