import { invalid } from "../backend/errors.js";
import { requireFilePath } from "../backend/transfers.js";
import { requireMode, requireOptions } from "../backend/validate.js";
import type { Source } from "../exec/byte-source.js";
import type { FilesToWrite, FileToWrite } from "./file-types.js";

/** A file to write, with its path in the box. */
export interface Entry extends FileToWrite {
  path: string;
}

/**
 * Lists the files to write, once all of them have been checked.
 *
 * @throws {BoxRunError} VALIDATION_ERROR for the first path, contents or mode that is wrong, which the message names
 */
export function filesToWrite(files: FilesToWrite): Entry[] {
  if (!isPlain(files))
    throw invalid("files must be an object", 'its keys are paths: { "/root/main.py": "print(42)" }');
  const entries = Object.entries(files).map(([path, file]) => entryOf(path, file));
  const byName = new Map(entries.map(({ path }) => [nameOf(path), path]));
  if (byName.size < entries.length) throw invalid("files must not name the same file twice");
  for (const name of byName.keys())
    for (let end = name.lastIndexOf("/"); end > 0; end = name.lastIndexOf("/", end - 1)) {
      const above = byName.get(name.slice(0, end));
      if (above !== undefined)
        throw invalid(`${above} cannot be a file, since files has ${byName.get(name)} below it`);
    }
  return entries;
}

function entryOf(path: string, file: Source | FileToWrite): Entry {
  requireFilePath(path);
  if (isSource(file)) return { path, data: file };
  if (!isPlain(file) || !isSource((file as Partial<FileToWrite>).data))
    throw invalid(
      `the contents of ${path} must be text, bytes, a Blob or a ReadableStream`,
      "for permission bits, give { data, mode }",
    );
  requireOptions(file as FileToWrite, { data: true, mode: true });
  const { data, mode } = file as FileToWrite;
  if (mode === undefined) return { path, data };
  requireMode(mode);
  return { path, data, mode };
}

function isSource(value: unknown): value is Source {
  return (
    typeof value === "string" ||
    value instanceof Uint8Array ||
    value instanceof ArrayBuffer ||
    value instanceof Blob ||
    value instanceof ReadableStream
  );
}

function isPlain(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns a path without slashes and dots that change nothing. */
function nameOf(path: string): string {
  return path.replace(/\/(?:\.?\/)+/g, "/");
}
