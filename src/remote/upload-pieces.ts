import type { ExecInfo, ExecSpec, UploadSpec } from "../backend.js";
import { DEFAULT_FILE_MODE } from "../contract/schemas.js";
import { BoxRunError, errnoCause } from "../errors.js";
import { followLinks } from "../follow-links.js";
import { toHex } from "../util/bytes.js";
import { isDropped } from "./http.js";

/** A plain BoxRun server takes 2 MB in one request; what stands before it, often 1 MiB. */
export const PIECE_BYTES = 960 * 1024;
/** Of one piece: it comes under a name of its own, so that it may be sent again. */
const MAX_TRIES = 3;
/** Of one script: nothing that it does may wait for ever. As long as a guest of this machine has to put a file in its place. */
const SCRIPT_MS = 600_000;
/** How the scripts below say what is wrong, or there. */
const WRONG_PIECE = 65;
const IN_PLACE_FAILED = 66;
const IS_THERE = 67;
const IS_IN_PLACE = 68;
/** Of a shell, or whoever starts it, that is not there or cannot be run. */
const NO_SHELL = [126, 127];

/** What cannot be written, by the exit code that says so. */
const REFUSALS: Readonly<Record<number, { code: string; text: string }>> = {
  70: { code: "EISDIR", text: "is a directory" },
  71: {
    code: "EINVAL",
    text: "not a regular file but a FIFO or socket, which nobody may ever read (EINVAL)",
  },
  72: { code: "ELOOP", text: "too many levels of symbolic links" },
};

/** `$t` becomes what the path in `$1` leads to: something that can be written. */
const TARGET = `${followLinks("$1", 72)}if [ -d "$t" ]; then exit 70; fi
if [ -p "$t" ] || [ -S "$t" ]; then exit 71; fi
`;
/** $1 is the path, $2 the name of a file that may be made beside it. Says how it is to be written: 0 for what is not there yet. */
const INSPECT = `${TARGET}[ -e "$t" ] || [ -L "$1" ] || exit 0
[ -e "$t" ] && [ ! -f "$t" ] && exit ${IS_IN_PLACE}
(: > "$2") 2> /dev/null || exit ${IS_IN_PLACE}
rm -f "$2"
exit ${IS_THERE}`;
/** $1 is the file so far, $2 the piece, $3 its size, $4 its SHA-256 or nothing, $5 what is there before it. */
const APPEND = `set -e
[ "$(wc -c < "$2")" -eq "$3" ] || exit ${WRONG_PIECE}
if [ -n "$4" ] && command -v sha256sum > /dev/null; then
  sum=$(sha256sum < "$2"); [ "\${sum%% *}" = "$4" ] || exit ${WRONG_PIECE}
fi
[ "$5" -eq 0 ] || [ "$(wc -c < "$1")" -eq "$5" ]
cat "$2" >> "$1"
rm -f "$2"`;
/**
 * $1 is where the file is to be, $2 the file, $3 its size, $4 its mode, or nothing: the one that there is; $5 the mode of a new one. A regular file is replaced by a rename from beside it, with its owner kept; what cannot be is
 * written into: a device, a mount, a file in a directory that takes no new ones.
 */
const FINISH = `${TARGET}set -e
[ "$(wc -c < "$2")" -eq "$3" ]
if [ ! -e "$t" ]; then
  mkdir -p "\${t%/*}/"
  chmod "\${4:-$5}" "$2"
  exec mv -f "$2" "$t"
fi
new=\${t%/*}/.boxrun-\${2##*boxrun-}
if [ -f "$t" ] && mv -f "$2" "$new" 2> /dev/null; then
  mode=\${4:-$(stat -c %a "$t")}
  if chown "$(stat -c %u:%g "$t")" "$new" 2> /dev/null && chmod "$mode" "$new" && mv -f "$new" "$t" 2> /dev/null; then exit 0; fi
  mv -f "$new" "$2"
fi
cat "$2" 2> /dev/null > "$t" || exit ${IN_PLACE_FAILED}
if [ -n "$4" ]; then chmod "$4" "$t"; fi
rm -f "$2"`;
const DISCARD = 'rm -f "$1" "$1.piece"';

/** What sending in pieces needs of a server. */
export interface PieceServer {
  /** Puts one file, in one request. */
  put(path: string, bytes: Uint8Array): Promise<void>;
  startExec(spec: ExecSpec): Promise<ExecInfo>;
  waitExec(execId: string, signal: AbortSignal | undefined): Promise<ExecInfo>;
}

/** How a file can be written: as a "new" one, which the server may put by itself; beside what is there; or from elsewhere, where its directory may take no new files. "unknown": the box has no shell. */
export type Place = "new" | "beside" | "elsewhere" | "unknown";

/** Looks at what a path leads to. RUNTIME_ERROR for a directory, a FIFO, a socket. */
export async function inspect(
  server: Omit<PieceServer, "put">,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Place> {
  const code = await runScript(server, INSPECT, [path, partOf(path)], signal).catch((error) => {
    // Some servers refuse a command whose program is not there.
    if (error instanceof BoxRunError && error.code === "RUNTIME_ERROR" && !error.retryable) return 127;
    throw error;
  });
  if (code === 0) return "new";
  if (code === IS_THERE) return "beside";
  if (code === IS_IN_PLACE) return "elsewhere";
  if (code !== null && NO_SHELL.includes(code)) return "unknown";
  throw refusal(path, code) ?? failed(path, `the box could not look at it (exit code ${code})`);
}

/** Sends a file that needs more than one request: piece by piece, each checked in the box, and under its name only when it is whole. Needs a POSIX shell in the box. */
export async function uploadInPieces(
  server: PieceServer,
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  { mode, newMode = DEFAULT_FILE_MODE, place, signal }: UploadSpec & { place: Place },
): Promise<void> {
  const part = partOf(place === "elsewhere" ? "/tmp/upload" : path);
  const run = (script: string, ...args: string[]) => runScript(server, script, args, signal);
  let sent = 0;
  try {
    for await (const piece of pieces) {
      await sendPiece(server, run, { path, part, piece, before: sent });
      sent += piece.byteLength;
    }
    const modes = [mode?.toString(8) ?? "", newMode.toString(8)];
    const code = await run(FINISH, path, part, String(sent), ...modes);
    if (code === IN_PLACE_FAILED) throw inPlaceFailed(path);
    if (code !== 0)
      throw refusal(path, code) ?? failed(path, `the box could not put it together (exit code ${code})`);
  } catch (error) {
    // Not with the caller's signal, which may be why it failed.
    await runScript(server, DISCARD, [part], undefined).catch(() => {});
    throw error;
  }
}

async function sendPiece(
  server: PieceServer,
  run: (script: string, ...args: string[]) => Promise<number | null>,
  { path, part, piece, before }: { path: string; part: string; piece: Uint8Array; before: number },
): Promise<void> {
  const piecePath = `${part}.piece`;
  const hash = await sha256(piece);
  for (let attempt = 1; ; attempt++) {
    try {
      await server.put(piecePath, piece);
    } catch (error) {
      if (!isDropped(error) || attempt === MAX_TRIES) throw error;
      continue;
    }
    const code = await run(APPEND, part, piecePath, String(piece.byteLength), hash, String(before));
    if (code === 0) return;
    if (code !== WRONG_PIECE) throw failed(path, `the box could not append it (exit code ${code})`);
    if (attempt === MAX_TRIES) throw failed(path, "it arrived damaged, time after time");
  }
}

async function runScript(
  server: Omit<PieceServer, "put">,
  script: string,
  args: string[],
  signal: AbortSignal | undefined,
): Promise<number | null> {
  const cmd = ["/bin/sh", "-c", script, "boxrun", ...args];
  const spec = { cmd, env: null, workdir: "/", timeoutMs: SCRIPT_MS, stdin: false };
  const { id } = await server.startExec(spec);
  return (await server.waitExec(id, signal)).exitCode;
}

/** A name beside the path, that nobody else has. */
function partOf(path: string): string {
  return `${path}.boxrun-${crypto.randomUUID()}`;
}

/** Nothing where there is no such function: in pages without https. */
async function sha256(bytes: Uint8Array): Promise<string> {
  const { subtle } = crypto as { subtle?: SubtleCrypto };
  if (!subtle) return "";
  return toHex(new Uint8Array(await subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)));
}

function refusal(path: string, code: number | null): BoxRunError | undefined {
  const known = REFUSALS[code ?? -1];
  if (!known) return undefined;
  return new BoxRunError("RUNTIME_ERROR", `upload to ${path}: ${known.text}`, {
    cause: errnoCause(known.code, known.text),
  });
}

function inPlaceFailed(path: string): BoxRunError {
  const message = `writing in place, of which a part may have been done, to ${path}: the box could not write it`;
  return new BoxRunError("RUNTIME_ERROR", message);
}

function failed(path: string, why: string): BoxRunError {
  return new BoxRunError("RUNTIME_ERROR", `upload of ${path} in pieces: ${why}`);
}
