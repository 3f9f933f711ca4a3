import type { FileChange } from "../../contract/types.js";
import { Payload } from "../protocol/frame-fields.js";
import { CHANGES, MAX_PATH } from "../protocol/frame-types.js";

const TYPES = new Map(Object.entries(CHANGES).map(([type, code]) => [code, type as keyof typeof CHANGES]));

/** Parses the changes in a frame of a watch, in the format of wasm/agent/protocol.h. @throws {FrameError} */
export function decodeChanges(data: Uint8Array): FileChange[] {
  const changes: FileChange[] = [];
  const payload = new Payload("change", data);
  while (payload.rest > 0) changes.push(decodeChange(payload));
  return changes;
}

function decodeChange(payload: Payload): FileChange {
  payload.field = "kind";
  const type = TYPES.get(payload.read(1, CHANGES.created, CHANGES.overflow) as never)!;
  const path = decodePath(payload, "path");
  return type === "renamed" ? { type, path, from: decodePath(payload, "from") } : { type, path };
}

function decodePath(payload: Payload, field: string): Uint8Array {
  payload.field = field;
  const path = payload.readBytes(1, MAX_PATH).slice();
  if (path.includes(0)) throw payload.error("must not contain a null byte");
  return path;
}
