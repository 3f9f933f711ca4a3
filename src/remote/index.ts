import type { Backend } from "../backend/backend.js";
import { wireInfo } from "../contract/wire.js";
import { Http } from "./http/http.js";
import type { RemoteOptions } from "./http/options.js";
import { RemoteBackend } from "./remote-backend.js";

export type { RemoteOptions } from "./http/options.js";

/**
 * Connects to a BoxRun server, and asks for its limits and capabilities. With `probeMs`, the server is asked once, and has that many milliseconds to answer.
 *
 * @throws {BoxRunError} CONNECTION_FAILED when nothing answers, PROTOCOL_ERROR when the answer is not that of a BoxRun server but, say, of a web page
 *
 * @example
 * const backend = await connectRemote({ baseUrl: "http://127.0.0.1:9090" });
 */
export async function connectRemote(
  options: RemoteOptions,
  { probeMs }: { probeMs?: number } = {},
): Promise<Backend> {
  const http = new Http(options);
  try {
    const limits = probeMs === undefined ? {} : { withinMs: probeMs, retries: 0 };
    return new RemoteBackend(http, await http.json("info", wireInfo, limits));
  } catch (error) {
    void http.close();
    throw error;
  }
}
