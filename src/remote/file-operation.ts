import type { FileEntry, FileOperation } from "../backend.js";
import { wireDone } from "../contract/wire.js";
import { FILE_ROUTES, toFileRequest, wireFile, wireFiles } from "../contract/wire-files.js";
import type { Call, Http } from "./http.js";

/** Has a server of this project do one thing with a box's files. */
export async function fileOperation(
  http: Http,
  box: string,
  operation: FileOperation,
  signal: AbortSignal | undefined,
): Promise<FileEntry[]> {
  const call: Call = { params: { box }, json: toFileRequest(operation), ...(signal && { signal }) };
  switch (operation.op) {
    case "stat":
      return [await http.json("statFile", wireFile, call)];
    case "list":
      return http.json("listFiles", wireFiles, { ...call, withinMs: http.clocks.lifecycleMs });
    default:
      await http.json(FILE_ROUTES[operation.op], wireDone, call);
      return [];
  }
}
