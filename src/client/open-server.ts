import type { Backend } from "../backend/backend.js";
import { parseBaseUrl } from "../backend/validate.js";
import type { RemoteOptions } from "../remote/http/options.js";
import type { Connection } from "./client-options.js";
import type { Place } from "./discovery.js";

/** Options of the client that name its server and how to connect to it. */
export type ConnectionOptions = Partial<
  Omit<RemoteOptions, "name" | "backoffMs" | "openSocket" | "onClose">
> & {
  socketPath?: string;
};

/** Returns the server that the options name; undefined when they name none. */
export function namedServer({ baseUrl, socketPath }: ConnectionOptions): Place | undefined {
  if (socketPath !== undefined)
    return { name: `unix:${socketPath}`, baseUrl: "http://localhost", socketPath };
  if (baseUrl === undefined) return undefined;
  const { href } = parseBaseUrl(baseUrl);
  return { name: href.replace(/\/$/, ""), baseUrl: href };
}

/** Connects to the server that the options name, and to no other. */
export async function openNamed(place: Place, options: ConnectionOptions): Promise<Connection> {
  const backend = await openServer(place, options);
  const reason = `the options name the server at ${place.name}`;
  return { backend, kind: "remote", reason, tried: [{ place: place.name, outcome: "connected" }] };
}

/** Connects to a server. With `probeMs`, it is asked once, and has that many milliseconds to answer. */
export async function openServer(
  place: Place,
  options: ConnectionOptions,
  probeMs?: number,
): Promise<Backend> {
  const { socketPath: _, baseUrl: __, ...rest } = options;
  const { connectRemote } = await import("../remote/index.js");
  const socket = place.socketPath === undefined ? {} : await openSocket(place.socketPath);
  return connectRemote(
    { ...rest, ...socket, baseUrl: place.baseUrl, name: place.name },
    probeMs === undefined ? {} : { probeMs },
  );
}

async function openSocket(path: string) {
  const { openSocketFetch } = await import("../remote/unix-socket.js");
  return openSocketFetch(path);
}
