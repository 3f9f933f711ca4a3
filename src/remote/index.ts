import type { Backend } from "../backend/backend.js";
import { wireInfo } from "../contract/wire.js";
import { Http } from "./http/http.js";
import type { RemoteOptions } from "./http/options.js";
import { RemoteBackend } from "./remote-backend.js";

export type { RemoteOptions } from "./http/options.js";

/**
 * Connects to a BoxRun server: asks what it is and can do. Rejects with CONNECTION_FAILED when nothing answers, with PROTOCOL_ERROR when what answers is
 * no BoxRun server, as a web page is not.
 *
 * With `probeMs`, the server is asked once, and has that long.
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
