/**
 * The bodies of file operations, which only servers of this project have. As in wire.ts, answers have a schema that reads them and a function that writes them;
 * requests have a function that writes them.
 */
import * as z from "zod/mini";
import { readName, writeName } from "./names.js";
import type { RouteName } from "./routes.js";
import { optional } from "./schemas.js";
import type { FileEntry, FileOperation } from "./types.js";

/** Route of each file operation. */
export const FILE_ROUTES = {
  stat: "statFile",
  list: "listFiles",
  mkdir: "makeDirectory",
  rename: "renameFile",
  remove: "removeFile",
} as const satisfies Record<FileOperation["op"], RouteName>;

const SLASH = 47;
const TYPES: readonly string[] = ["file", "directory", "symlink"] satisfies FileEntry["type"][];

/** Writes the body of a file operation. */
export function toFileRequest(operation: FileOperation): object {
  const path = writeName("path", operation.path);
  switch (operation.op) {
    case "stat":
      return { ...path, follow_links: operation.followLinks };
    case "mkdir":
      return { ...path, mode: operation.mode, recursive: operation.recursive };
    case "rename":
      return { ...path, ...writeName("to", operation.to) };
    case "list":
    case "remove":
      return path;
  }
}

/** Schema of a file. Its name is empty unless it is an entry of a directory. */
export const wireFile = z.pipe(
  z.object({
    name: optional(z.string()),
    name_b64: optional(z.string()),
    type: z.string(),
    size: z.number(),
    mode: z.number(),
    modified_at: z.string(),
    uid: z.number(),
    gid: z.number(),
  }),
  z.transform((file, context): FileEntry => {
    const { type, size, mode, uid, gid } = file;
    const refuse = (key: "name" | "modified_at", message: string) =>
      context.issues.push({ code: "custom", path: [key], message, input: file[key] });
    const modifiedAt = new Date(file.modified_at);
    if (Number.isNaN(modifiedAt.getTime())) refuse("modified_at", "must be a time (RFC 3339)");
    let name = new Uint8Array(0);
    try {
      name = readName(file.name, file.name_b64) as Uint8Array<ArrayBuffer>;
      if (name.includes(SLASH) || name.includes(0)) refuse("name", "must be a name");
    } catch {
      refuse("name", "must be text, or base64");
    }
    const known = TYPES.includes(type) ? (type as FileEntry["type"]) : "other";
    return { name, type: known, size, mode, modifiedAt, uid, gid };
  }),
);
/** Schema of the entries of a directory. */
export const wireFiles = z.array(wireFile);

/** Writes a file. */
export function toWireFile({ name, type, size, mode, modifiedAt, uid, gid }: FileEntry): object {
  const named = name.byteLength > 0 ? writeName("name", name) : {};
  return { ...named, type, size, mode, modified_at: modifiedAt.toISOString(), uid, gid };
}
