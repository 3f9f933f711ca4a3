import type { ExecInfo, ExecSpec } from "../backend.js";
import { BoxRunError } from "../errors.js";
import { toHex } from "../util/bytes.js";
import { isDropped } from "./http.js";

/** A plain BoxRun server takes 2 MB in one request; what stands before it, often 1 MiB. */
export const PIECE_BYTES = 960 * 1024;
/** Of one piece: it comes under a name of its own, so that it may be sent again. */
const MAX_TRIES = 3;
/** How the scripts below say what is wrong. */
const WRONG_PIECE = 65;
const IS_DIRECTORY = 66;

/** $1 is the file so far, $2 the piece, $3 its size, $4 its SHA-256 or nothing, $5 what is there before it, $6 where the file is to be. */
const APPEND = `set -e
if [ -d "$6" ]; then exit ${IS_DIRECTORY}; fi
[ "$(wc -c < "$2")" -eq "$3" ] || exit ${WRONG_PIECE}
if [ -n "$4" ] && command -v sha256sum > /dev/null; then
  sum=$(sha256sum < "$2"); [ "\${sum%% *}" = "$4" ] || exit ${WRONG_PIECE}
fi
[ "$5" -eq 0 ] || [ "$(wc -c < "$1")" -eq "$5" ]
cat "$2" >> "$1"
rm -f "$2"`;
/** $1 is the file, $2 its size, $3 its mode, $4 where it is to be. */
const FINISH = `set -e
if [ -d "$4" ]; then exit ${IS_DIRECTORY}; fi
[ "$(wc -c < "$1")" -eq "$2" ]
chmod "$3" "$1"
if [ -L "$4" ]; then cat "$1" > "$4"; rm -f "$1"; else mv -f "$1" "$4"; fi`;
const DISCARD = 'rm -f "$1" "$1.piece"';

/** What sending in pieces needs of a server. */
export interface PieceServer {
  /** Puts one file, in one request. */
  put(path: string, bytes: Uint8Array): Promise<void>;
  startExec(spec: ExecSpec): Promise<ExecInfo>;
  waitExec(execId: string, signal: AbortSignal | undefined): Promise<ExecInfo>;
}

/** Sends a file that is larger than one request may be: piece by piece, each checked in the box, and under its name only when it is whole. Needs a POSIX shell in the box. */
export async function uploadInPieces(
  server: PieceServer,
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  { mode, signal }: { mode: number; signal?: AbortSignal },
): Promise<void> {
  const part = `${path}.boxrun-${crypto.randomUUID()}`;
  const run = (script: string, ...args: string[]) => runScript(server, script, [part, ...args], signal);
  let sent = 0;
  try {
    for await (const piece of pieces) {
      await sendPiece(server, run, { path, piecePath: `${part}.piece`, piece, before: sent });
      sent += piece.byteLength;
    }
    const code = await run(FINISH, String(sent), mode.toString(8), path);
    if (code === IS_DIRECTORY) throw isDirectory(path);
    if (code !== 0) throw failed(path, `the box could not put it together (exit code ${code})`);
  } catch (error) {
    // Not with the caller's signal, which may be why it failed.
    await runScript(server, DISCARD, [part], undefined).catch(() => {});
    throw error;
  }
}

async function sendPiece(
  server: PieceServer,
  run: (script: string, ...args: string[]) => Promise<number | null>,
  { path, piecePath, piece, before }: { path: string; piecePath: string; piece: Uint8Array; before: number },
): Promise<void> {
  const hash = await sha256(piece);
  for (let attempt = 1; ; attempt++) {
    try {
      await server.put(piecePath, piece);
    } catch (error) {
      if (!isDropped(error) || attempt === MAX_TRIES) throw error;
      continue;
    }
    const code = await run(APPEND, piecePath, String(piece.byteLength), hash, String(before), path);
    if (code === 0) return;
    if (code === IS_DIRECTORY) throw isDirectory(path);
    if (code !== WRONG_PIECE) throw failed(path, `the box could not append it (exit code ${code})`);
    if (attempt === MAX_TRIES) throw failed(path, "it arrived damaged, time after time");
  }
}

async function runScript(
  server: PieceServer,
  script: string,
  args: string[],
  signal: AbortSignal | undefined,
): Promise<number | null> {
  const cmd = ["/bin/sh", "-c", script, "boxrun", ...args];
  const { id } = await server.startExec({ cmd, env: null, workdir: "/", timeoutMs: null, stdin: false });
  return (await server.waitExec(id, signal)).exitCode;
}

/** Nothing where there is no such function: in pages without https. */
async function sha256(bytes: Uint8Array): Promise<string> {
  const { subtle } = crypto as { subtle?: SubtleCrypto };
  if (!subtle) return "";
  return toHex(new Uint8Array(await subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)));
}

function isDirectory(path: string): BoxRunError {
  return new BoxRunError("RUNTIME_ERROR", `upload to ${path}: is a directory`);
}

function failed(path: string, why: string): BoxRunError {
  return new BoxRunError("RUNTIME_ERROR", `upload of ${path} in pieces: ${why}`);
}
