import type { FileEntry, FileOperation } from "../../backend/backend.js";
import type { RouteParams } from "../../contract/routes.js";
import { wireDone } from "../../contract/wire.js";
import { FILE_ROUTES, toFileRequest, wireFile, wireFiles } from "../../contract/wire-files.js";
import { type Call, DEFAULT_RETRIES } from "../http/call.js";
import type { Http } from "../http/http.js";

/** Performs one file operation on a server of this project. */
export async function fileOperation(
  http: Http,
  params: RouteParams,
  operation: FileOperation,
  options: { signal?: AbortSignal },
): Promise<FileEntry[]> {
  const call: Call = { params, json: toFileRequest(operation), ...options };
  switch (operation.op) {
    case "stat":
      return [await http.json("statFile", wireFile, { ...call, retries: DEFAULT_RETRIES })];
    case "list": {
      const withinMs = http.clocks.lifecycleMs;
      return http.json("listFiles", wireFiles, { ...call, withinMs, retries: DEFAULT_RETRIES });
    }
    default:
      await http.json(FILE_ROUTES[operation.op], wireDone, call);
      return [];
  }
}
