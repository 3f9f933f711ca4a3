import type { ExecInfo, ExecSpec, UploadSpec } from "../../backend/backend.js";
import { BoxRunError, type ErrorCode, errnoCause } from "../../backend/errors.js";
import { DEFAULT_FILE_MODE } from "../../contract/schemas.js";
import { toHex } from "../../util/bytes.js";
import { randomName } from "../../util/ids.js";
import { within } from "../../util/within.js";
import { isDropped } from "../http/http.js";
import { APPEND, CODES, DISCARD, FINISH, INSPECT, PREPARE, REFUSALS } from "./piece-scripts.js";

/** Size of a piece in bytes. A plain BoxRun server takes 2 MB in one request; proxies before it often take 1 MiB. */
export const PIECE_BYTES = 960 * 1024;
/** Number of tries for one piece. It has a name of its own, so it can be sent again. */
const MAX_TRIES = 3;
/** Time limit of one script in milliseconds. It is the time that a guest of this machine has to put a file in its place. */
const SCRIPT_MS = 600_000;
/** Time in milliseconds that a server has to end a script, and to clean up. */
const CLEAN_UP_MS = 30_000;
/** Exit codes of a shell that does not exist or cannot be run. A server that refuses to start it counts as the same. */
const NO_SHELL = [126, 127];

/** Calls of a server that sending in pieces needs. */
export interface PieceServer {
  /** Uploads one file in one request. */
  put(path: string, bytes: Uint8Array): Promise<void>;
  startExec(spec: ExecSpec): Promise<ExecInfo>;
  waitExec(execId: string, signal: AbortSignal | undefined): Promise<ExecInfo>;
  cancelExec(execId: string): Promise<unknown>;
}

/**
 * Ways to write a file: as a "new" one, which the server may write by itself; beside the existing one; or from elsewhere, if its directory takes no new files.
 * "unknown": the box has no shell.
 */
export type Place = "new" | "beside" | "elsewhere" | "unknown";

/** Looks at the target of a path. @throws {BoxRunError} RUNTIME_ERROR for a directory, a FIFO and a socket */
export async function inspect(
  server: Omit<PieceServer, "put">,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Place> {
  const code = await runScript(server, INSPECT, [path, partsBeside(path)], signal);
  if (code === 0) return "new";
  if (code === CODES.isThere) return "beside";
  if (code === CODES.isInPlace) return "elsewhere";
  if (code !== null && NO_SHELL.includes(code)) return "unknown";
  throw refusal(path, code) ?? failed(path, `the box could not inspect it (exit code ${code})`);
}

/**
 * Sends a file that needs more than one request: piece by piece, each verified in the box, and under its name only when it is complete. Needs a POSIX shell in
 * the box.
 */
export async function uploadInPieces(
  server: PieceServer,
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  { mode, newMode = DEFAULT_FILE_MODE, place, signal }: UploadSpec & { place: Place },
): Promise<void> {
  const parts = partsBeside(place === "elsewhere" ? "/tmp/upload" : path);
  const run = (script: string, ...args: string[]) => runScript(server, script, args, signal);
  let sent = 0;
  try {
    const prepared = await run(PREPARE, parts);
    if (prepared !== 0)
      throw (
        refusal(path, prepared) ??
        failed(path, `the box could not create the directory ${parts} (exit code ${prepared})`)
      );
    for await (const piece of pieces) {
      await sendPiece(server, run, { path, parts, piece, before: sent });
      sent += piece.byteLength;
    }
    const modes = [mode?.toString(8) ?? "", newMode.toString(8)];
    const code = await run(FINISH, path, parts, String(sent), ...modes);
    if (code === CODES.inPlaceFailed)
      throw inPlaceFailed("RUNTIME_ERROR", path, "the box could not write it");
    if (code === CODES.inPlaceNoRoom)
      throw inPlaceFailed("STORAGE_FULL", path, "no space left on the box's disk");
    if (code !== 0)
      throw refusal(path, code) ?? failed(path, `the box could not assemble it (exit code ${code})`);
  } catch (error) {
    // Without the caller's signal, which may be the reason of the failure.
    await within(CLEAN_UP_MS, runScript(server, DISCARD, [path, parts], undefined)).catch(() => {});
    throw error;
  }
}

async function sendPiece(
  server: PieceServer,
  run: (script: string, ...args: string[]) => Promise<number | null>,
  { path, parts, piece, before }: { path: string; parts: string; piece: Uint8Array; before: number },
): Promise<void> {
  const hash = await sha256(piece);
  for (let attempt = 1; ; attempt++) {
    try {
      await server.put(`${parts}/piece`, piece);
    } catch (error) {
      if (!isDropped(error) || attempt === MAX_TRIES) throw error;
      continue;
    }
    const code = await run(APPEND, parts, String(piece.byteLength), hash, String(before));
    if (code === 0) return;
    if (code !== CODES.wrongPiece)
      throw refusal(path, code) ?? failed(path, `the box could not append it (exit code ${code})`);
    if (attempt === MAX_TRIES) throw failed(path, `it arrived damaged ${MAX_TRIES} times`);
  }
}

/**
 * Runs a script to its end, and resolves to its exit code. If it is given up, it is ended before this rejects, as far as the server can end it, so that it does
 * not interfere with the next one.
 */
async function runScript(
  server: Omit<PieceServer, "put">,
  script: string,
  args: string[],
  signal: AbortSignal | undefined,
): Promise<number | null> {
  signal?.throwIfAborted();
  const cmd = ["/bin/sh", "-c", script, "boxrun", ...args];
  const spec = { cmd, env: null, workdir: "/", timeoutMs: SCRIPT_MS, stdin: false };
  const { id } = await server.startExec(spec);
  try {
    return (await server.waitExec(id, signal)).exitCode;
  } catch (error) {
    const over = new AbortController();
    const ended = async () => {
      await server.cancelExec(id);
      await server.waitExec(id, over.signal);
    };
    await within(CLEAN_UP_MS, ended()).catch(() => {});
    over.abort();
    throw error;
  }
}

/** Returns a directory beside the path that nobody else uses. Its name does not contain that of the file, which may be as long as names can be. */
function partsBeside(path: string): string {
  return `${path.slice(0, path.lastIndexOf("/"))}/.boxrun-${randomName()}`;
}

/** Returns the SHA-256 in lower-case hex; empty where there is no such function, in pages without https. */
async function sha256(bytes: Uint8Array): Promise<string> {
  const { subtle } = crypto as { subtle?: SubtleCrypto };
  if (!subtle) return "";
  return toHex(new Uint8Array(await subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)));
}

function refusal(path: string, code: number | null): BoxRunError | undefined {
  if (code === CODES.noRoom)
    return new BoxRunError("STORAGE_FULL", `upload to ${path}: no space left on the box's disk`);
  const known = REFUSALS[code ?? -1];
  if (!known) return undefined;
  return new BoxRunError("RUNTIME_ERROR", `upload to ${path}: ${known.text}`, {
    cause: errnoCause(known.code, known.text),
  });
}

function inPlaceFailed(code: ErrorCode, path: string, why: string): BoxRunError {
  return new BoxRunError(code, `upload in place to ${path} (it may be partly written): ${why}`);
}

function failed(path: string, why: string): BoxRunError {
  return new BoxRunError("RUNTIME_ERROR", `upload of ${path} in pieces: ${why}`);
}
