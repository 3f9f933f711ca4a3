import { chmodSync, existsSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname } from "node:path";
import { finished } from "node:stream/promises";
import { getRequestListener } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Backend } from "../../backend/backend.js";
import { BoxRunError, invalid, isBoxRunError } from "../../backend/errors.js";
import { nodeDialer } from "../../local/network/dialer-node.js";
import { makeFolders } from "../../util/make-folders.js";
import { previewLabel } from "../guard.js";
import { createHandler } from "../handler.js";
import { type HandlerOptions, requireBackend, settingsOf } from "../options.js";
import type { RunningServer, ServeOptions } from "../serve-types.js";
import { clearSocket, requireSocketPath } from "./socket-file.js";
import { serveUpgrades } from "./upgrades.js";
import { writeResponse } from "./write-response.js";

const LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"];
const HEADERS_TIMEOUT_MS = 20_000;
/**
 * Time after which a connection without any traffic is closed. It is long, since a command may leave its stdin unread for a while, and a creation may wait for
 * its image.
 */
const IDLE_TIMEOUT_MS = 15 * 60_000;
/** Time for which a refused client may go on sending before it is disconnected. */
const LINGER_MS = 10_000;

/** Implements `serve`, which node.ts documents. */
export async function serve(backend: Backend, options: ServeOptions = {}): Promise<RunningServer> {
  const { host, port, socketPath, headersTimeoutMs = HEADERS_TIMEOUT_MS, ...given } = options;
  const overTcp = socketPath === undefined || host !== undefined || port !== undefined;
  const name = host ?? "127.0.0.1";
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw invalid(`port must be an integer from 0 to 65535, got ${port}`);
  }
  const isLoopback = LOOPBACK_HOSTS.includes(urlHost(name));
  if (overTcp && !isLoopback && given.token === undefined) {
    const hint = given.relay?.token ? "relay.token opens the relay alone: set a token" : "set a token";
    throw invalid(`${name} is reachable from other machines`, `${hint}, or listen on 127.0.0.1`);
  }
  if (socketPath !== undefined) requireSocketPath(socketPath);
  requireBackend(backend);
  settingsOf(given);
  if (given.relay) given.relay = { ...given.relay, dialer: given.relay.dialer ?? nodeDialer() };
  const servers: Listener[] = [];
  const addresses: string[] = [];
  const close = async () => {
    await Promise.all(servers.splice(0).map(closeServer));
  };
  try {
    if (overTcp) {
      // On loopback only its own names are accepted. For other addresses, the caller says which names may be used.
      const hosts = given.hosts ?? (isLoopback ? LOOPBACK_HOSTS : undefined);
      const own = { ...(hosts && { hosts }), ...(isLoopback && { previewDomain: "localhost" }) };
      const listener = makeServer(backend, { ...own, ...given }, headersTimeoutMs);
      const { server } = listener;
      servers.push(listener);
      await listen(server, { host: name, port: port ?? 9090 }, `${name}:${port ?? 9090}`);
      addresses.push(`http://${urlHost(name)}:${(server.address() as AddressInfo).port}`);
    }
    if (socketPath !== undefined) {
      await clearSocket(socketPath);
      // Only the owner can open the socket, so a token would add nothing.
      // Browsers cannot open it, and so there are no previews.
      // A relay is for them, too, and needs a token.
      const { token: _, previewDomain: __, relay: ___, ...open } = given;
      const listener = makeServer(backend, open, headersTimeoutMs);
      const { server } = listener;
      servers.push(listener);
      const folder = dirname(socketPath);
      if (!existsSync(folder)) await makeFolders(folder, { mkdir, stat }, dirname, { mode: 0o700 });
      // The umask belongs to the whole process, and others may create files while this waits. The socket exists before `listen` returns.
      const before = process.umask(0o177);
      const listening = listen(server, { path: socketPath }, socketPath);

      process.umask(before);
      await listening;
      chmodSync(socketPath, 0o600);
      addresses.push(socketPath);
    }
  } catch (error) {
    await close();
    if (isBoxRunError(error)) throw error;
    // An error of the file system: the folder cannot be created, or not be written in.
    throw new BoxRunError("RUNTIME_ERROR", `cannot listen: ${(error as Error).message}`, { cause: error });
  }
  return { addresses, close };
}

/** A server, and a function that closes the WebSockets that it has accepted. */
interface Listener {
  server: Server;
  endUpgrades: () => void;
}

function makeServer(backend: Backend, options: HandlerOptions, headersTimeout: number): Listener {
  const handler = createHandler(backend, options);
  const settings = settingsOf(options);
  const listener = getRequestListener(
    async (request, { incoming, outgoing }) => {
      const response = await handler(request);
      if (previewLabel(request, settings) !== undefined) {
        await writeResponse(response, outgoing as ServerResponse);
        return RESPONSE_ALREADY_SENT;
      }
      const isRefused = response.status >= 400 && !(incoming as IncomingMessage).complete;
      return isRefused
        ? holdOpen(response, incoming as IncomingMessage)
        : cutOffWhenFailed(response, outgoing as ServerResponse);
    },
    { overrideGlobalObjects: false },
  );
  const server = createServer(
    {
      headersTimeout,
      // Node checks at this interval, by default every 30 s.
      connectionsCheckingInterval: headersTimeout / 4,
      // This limit is for the whole request, and an upload takes as long as it takes.
      requestTimeout: 0,
      keepAliveTimeout: 5_000,
    },
    listener,
  );
  server.timeout = IDLE_TIMEOUT_MS;
  return { server, endUpgrades: serveUpgrades(server, handler) };
}

/**
 * Makes a response close its connection when its body fails half way. The listener would print the error and send its message as the end of the body, which the
 * reader could take for the last bytes of a file.
 */
function cutOffWhenFailed(response: Response, outgoing: ServerResponse): Response {
  if (!response.body) return response;
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          // Nothing has been sent yet, so the listener answers 500.
          if (!outgoing.headersSent) return controller.error(error);
          outgoing.destroy();
          controller.close();
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { status: response.status, headers: response.headers });
}

/**
 * Prepares the response to a request that was refused while its body was still arriving: the rest of the body is read and dropped, and only then is the
 * connection closed. Otherwise clients that send all of it before they read the response would be disconnected from it.
 */
async function holdOpen(response: Response, incoming: IncomingMessage): Promise<Response> {
  // A listener that has been reading would block the rest.
  incoming.removeAllListeners("data");
  incoming.resume();
  const bytes = new Uint8Array(await response.arrayBuffer());
  const headers = new Headers(response.headers);
  // With a content-length the response is complete for its reader, although its stream has not ended.
  headers.set("content-length", String(bytes.byteLength));
  const stop = new AbortController();
  const limit = AbortSignal.any([stop.signal, AbortSignal.timeout(LINGER_MS)]);
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes),
    pull: async (controller) => {
      // The body ends, or the client disconnects, or goes on for too long; it makes no difference here.
      await finished(incoming, { signal: limit, writable: false }).catch(() => {});
      if (!stop.signal.aborted) controller.close();
    },
    cancel: () => stop.abort(),
  });
  return new Response(body, { status: response.status, headers });
}

function listen(server: Server, where: { host: string; port: number } | { path: string }, name: string) {
  return new Promise<void>((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) =>
      reject(
        new BoxRunError("RUNTIME_ERROR", `cannot listen on ${name}: ${error.message}`, {
          ...(error.code === "EADDRINUSE" && {
            hint: "the address is in use: stop the other server, or choose another port",
          }),
          cause: error,
        }),
      );
    server.once("error", onError);
    server.listen(where, () => {
      server.off("error", onError);
      resolve();
    });
  });
}

function closeServer({ server, endUpgrades }: Listener): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
    endUpgrades();
  });
}

/** Returns a host as it stands in a URL, where an IPv6 address has brackets. */
function urlHost(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}
