import type { Backend } from "../backend/backend.js";
import { BoxRunError, isBoxRunError } from "../backend/errors.js";
import { parseBaseUrl } from "../backend/validate.js";
import type { LocalOptions } from "../local/boxes/options.js";
import type { RemoteOptions } from "../remote/http/options.js";
import { isNodeLike } from "../util/runtime.js";
import type { Connection, Tried } from "./client.js";
import { ownOrigin, type Place, placesToTry } from "./discovery.js";

/** Options of the client that name its server and how to connect to it. */
export type ConnectionOptions = Partial<
  Omit<RemoteOptions, "name" | "backoffMs" | "openSocket" | "onClose">
> & {
  socketPath?: string;
};

const PROBE_MS = 500;
const EXPLICIT_PROBE_MS = 5000;

/** Chooses the backend of a client. Used by `BoxRunClient`, which documents it. */
export async function connect(
  backend: "auto" | "remote" | "local" | Backend,
  options: ConnectionOptions,
  local: LocalOptions,
): Promise<Connection> {
  if (typeof backend === "object") {
    return { backend, kind: "custom", reason: "the backend option is a Backend object", tried: [] };
  }
  if (backend === "local") return openLocal(local, 'the backend option is "local"', []);
  const explicit = explicitPlace(options);
  if (explicit && backend === "remote") return openNamed(explicit, options);
  const places = explicit ? [explicit] : searched(backend, options);
  const tried: Tried[] = [];
  for (const place of places) {
    try {
      const probeMs = options.timeouts?.probeMs ?? (explicit ? EXPLICIT_PROBE_MS : PROBE_MS);
      const found = await openRemote(place, options, probeMs);
      tried.push({ place: place.name, outcome: "connected" });
      return { backend: found, kind: "remote", reason: `a BoxRun server answers at ${place.name}`, tried };
    } catch (error) {
      // It exists and was named by the caller: its refusal must not be ignored.
      if (explicit && isBoxRunError(error) && (error.status === 401 || error.status === 403)) throw error;
      // An error of the call itself, such as a token function that throws, is the same everywhere.
      if (!isBoxRunError(error) || (error.code === "VALIDATION_ERROR" && error.status === undefined))
        throw error;
      const { message, status } = error;
      tried.push({ place: place.name, outcome: message, ...(status && { status }) });
    }
  }
  const outcomes = tried.map(({ place, outcome }) => `${place}: ${outcome}`).join("; ");
  if (backend === "remote") {
    throw new BoxRunError("CONNECTION_FAILED", `no BoxRun server was found${outcomes && `: ${outcomes}`}`, {
      retryable: true,
      hint: "start one, or set baseUrl, socketPath or, outside of pages, the environment variable BOXRUN_SOCKET",
    });
  }
  const why = explicit
    ? `the given server did not answer as a BoxRun server (${outcomes})`
    : tried.length > 0
      ? `no BoxRun server accepted the connection (${outcomes})`
      : "no server was given, and a page looks for one only at its own origin, if that is this machine";
  return openLocal(local, why, tried);
}

/** Returns the places to look at. Under "remote", a page's own origin is one wherever it is, since its caller asked for a server. */
function searched(backend: "auto" | "remote", options: ConnectionOptions): Place[] {
  const origin = backend === "remote" && !isNodeLike() ? ownOrigin() : undefined;
  if (origin !== undefined) return [{ name: origin, baseUrl: origin }];
  const places = placesToTry();
  // A custom `fetch` cannot reach a socket.
  return options.fetch ? places.filter(({ socketPath }) => socketPath === undefined) : places;
}

function explicitPlace({ baseUrl, socketPath }: ConnectionOptions): Place | undefined {
  if (socketPath !== undefined)
    return { name: `unix:${socketPath}`, baseUrl: "http://localhost", socketPath };
  if (baseUrl === undefined) return undefined;
  const { href } = parseBaseUrl(baseUrl);
  return { name: href.replace(/\/$/, ""), baseUrl: href };
}

async function openNamed(place: Place, options: ConnectionOptions): Promise<Connection> {
  const backend = await openRemote(place, options);
  const reason = `the options name the server at ${place.name}`;
  return { backend, kind: "remote", reason, tried: [{ place: place.name, outcome: "connected" }] };
}

async function openRemote(place: Place, options: ConnectionOptions, probeMs?: number): Promise<Backend> {
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

async function openLocal(local: LocalOptions, reason: string, tried: Tried[]): Promise<Connection> {
  const { createLocalBackend } = await import("boxrun/local");
  return { backend: createLocalBackend(local), kind: "local", reason, tried };
}
