import type { FileEntry } from "../../contract/types.js";
import { Payload } from "../protocol/frame-fields.js";
import { MAX_NAME } from "../protocol/frame-types.js";

/** Types by the upper bits of a mode, S_IFMT. */
const TYPES: Readonly<Record<number, FileEntry["type"]>> = { 8: "file", 4: "directory", 10: "symlink" };
const MAX_ST_MODE = 0o177777;
/** Largest time that a Date can hold, in either direction. */
const MAX_TIME_MS = 8_640_000_000_000_000;

/** Parses the entries in a frame that answers a file operation, in the format of wasm/agent/protocol.h. @throws {FrameError} */
export function decodeEntries(data: Uint8Array): FileEntry[] {
  const entries: FileEntry[] = [];
  const payload = new Payload("entry", data);
  while (payload.rest > 0) entries.push(decodeEntry(payload));
  return entries;
}

function decodeEntry(payload: Payload): FileEntry {
  const size = Math.min(Number(payload.readU64()), Number.MAX_SAFE_INTEGER);
  const mtimeMs = Number(BigInt.asIntN(64, payload.readU64()));
  payload.field = "mtime";
  payload.check(mtimeMs, -MAX_TIME_MS, MAX_TIME_MS);
  payload.field = "mode";
  const mode = payload.read(4, 0, MAX_ST_MODE);
  const uid = payload.read(4, 0, 0xffff_ffff);
  const gid = payload.read(4, 0, 0xffff_ffff);
  payload.field = "name";
  const name = payload.readBytes(0, MAX_NAME).slice();
  const type = TYPES[mode >> 12] ?? "other";
  return { name, type, size, mode: mode & 0o7777, modifiedAt: new Date(mtimeMs), uid, gid };
}
