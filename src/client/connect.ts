import type { Backend } from "../backend/backend.js";
import { BoxRunError, isBoxRunError } from "../backend/errors.js";
import type { LocalOptions } from "../local/boxes/options.js";
import { isNodeLike } from "../util/runtime.js";
import type { Connection, Tried } from "./client-options.js";
import { ownOrigin, type Place, placesToTry } from "./discovery.js";
import { type ConnectionOptions, namedServer, openNamed, openServer } from "./open-server.js";

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
  const explicit = namedServer(options);
  if (explicit && backend === "remote") return openNamed(explicit, options);
  const places = explicit ? [explicit] : searched(backend, options);
  const tried: Tried[] = [];
  for (const place of places) {
    try {
      const probeMs = options.timeouts?.probeMs ?? (explicit ? EXPLICIT_PROBE_MS : PROBE_MS);
      const found = await openServer(place, options, probeMs);
      tried.push({ place: place.name, outcome: "connected" });
      return { backend: found, kind: "remote", reason: `a BoxRun server answers at ${place.name}`, tried };
    } catch (error) {
      // It exists and was named by the caller: its refusal must not be ignored.
      if (explicit && isBoxRunError(error) && (error.status === 401 || error.status === 403)) throw error;
      // An error of the call itself, such as a token function that throws, is the same everywhere.
      if (!isBoxRunError(error) || (error.code === "VALIDATION_ERROR" && error.status === undefined))
        throw error;
      const { message, hint, status } = error;
      // The address is told once, and what to do about it by the last error.
      const outcome = message.replace(` (${place.name})`, "").replace(` (${hint})`, "");
      tried.push({ place: place.name, outcome, ...(status && { status }) });
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

async function openLocal(local: LocalOptions, reason: string, tried: Tried[]): Promise<Connection> {
  const { createLocalBackend } = await import("boxrun/local");
  return { backend: createLocalBackend(local), kind: "local", reason, tried };
}
