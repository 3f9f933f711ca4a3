import type { RouteParams } from "../../contract/routes.js";
import { wireDone } from "../../contract/wire.js";
import { concatBytes } from "../../util/bytes.js";
import { lineOf } from "../http/call.js";
import { errorOfText, readJson } from "../http/failures.js";
import type { Http } from "../http/http.js";

const PIECE_BYTES = 256 * 1024;

/** Writes to a command's stdin in pieces: a server keeps the whole body of a request in memory, and limits it. */
export async function writeStdin(http: Http, params: RouteParams, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength; at += PIECE_BYTES) {
    await send(http, params, chunk.subarray(at, at + PIECE_BYTES), {});
  }
}

/** Closes a command's stdin. */
export function closeStdin(http: Http, params: RouteParams): Promise<void> {
  return send(http, params, new Uint8Array(0), { eof: "1" });
}

/**
 * Sends one request, which may wait for as long as the command does not read. Meanwhile the server sends keep-alives: the answer begins with 200 before the
 * result is known, and may still report an error.
 */
async function send(
  http: Http,
  params: RouteParams,
  content: Uint8Array,
  query: Record<string, string>,
): Promise<void> {
  const { silenceMs } = http.clocks;
  const call = {
    params,
    query: { ...query, alive: String(Math.ceil(silenceMs / 3)) },
    body: { content: content as Uint8Array<ArrayBuffer>, contentType: "application/octet-stream" },
    withinMs: silenceMs,
  };
  const { body } = await http.open("writeStdin", call);
  const chunks: Uint8Array[] = [];
  for (let chunk = await body.read(); chunk; chunk = await body.read()) chunks.push(chunk);
  const text = new TextDecoder().decode(concatBytes(chunks));
  const line = lineOf("writeStdin", call);
  const told = errorOfText(line, text);
  if (told) throw told;
  readJson(wireDone, text, line);
}
