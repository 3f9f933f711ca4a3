import { isNodeLike } from "../util/runtime.js";

/** A place where a server may be. */
export interface Place {
  /** Name for messages: "unix:/run/boxrun.sock", "http://127.0.0.1:9090". */
  name: string;
  baseUrl: string;
  socketPath?: string;
}

/** The few parts of Node that are used here. Deno and Bun have them, too. */
interface NodeProcess {
  env?: Record<string, string | undefined>;
  getBuiltinModule?: (name: string) => unknown;
}
interface NodeFileSystem {
  statSync(path: string, options: { throwIfNoEntry: false }): { isSocket(): boolean } | undefined;
}
interface Globals {
  process?: NodeProcess;
  location?: { origin: string; protocol: string; hostname: string };
}

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = "9090";

/** Returns the origin of the page, if there is one. */
export function ownOrigin(): string | undefined {
  const { location } = globalThis as Globals;
  return location && /^https?:$/.test(location.protocol) ? location.origin : undefined;
}

/**
 * Returns the places to look for a server when the options name none. Outside of pages these are the ones that BoxRun's own tools try, in their order: the Unix
 * socket ($BOXRUN_SOCKET, else $BOXRUN_STATE_DIR/boxrun.sock, else ~/.boxrun/boxrun.sock) if there is one, then http://$BOXRUN_HOST:$BOXRUN_PORT. In a page it
 * is its own origin, if that is this machine: when a page from elsewhere requests a local port, browsers ask their user, and no server would answer it.
 */
export function placesToTry(): Place[] {
  const { process } = globalThis as Globals;
  if (isNodeLike() && process) return nodePlaces(process);
  const origin = ownOrigin();
  return origin !== undefined && isLoopback(new URL(origin).hostname)
    ? [{ name: origin, baseUrl: origin }]
    : [];
}

function nodePlaces(process: NodeProcess): Place[] {
  const env = (name: string) => process.env?.[name] || undefined;
  const places: Place[] = [];
  const socketPath =
    env("BOXRUN_SOCKET") ?? `${env("BOXRUN_STATE_DIR") ?? `${home(process)}/.boxrun`}/boxrun.sock`;
  if (isSocket(process, socketPath)) {
    places.push({ name: `unix:${socketPath}`, baseUrl: "http://localhost", socketPath });
  }
  const host = env("BOXRUN_HOST") ?? DEFAULT_HOST;
  const baseUrl = `http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${env("BOXRUN_PORT") ?? DEFAULT_PORT}`;
  // A variable that does not make a URL names no server.
  if (URL.canParse(baseUrl)) places.push({ name: baseUrl, baseUrl });
  return places;
}

function home(process: NodeProcess): string {
  const os = process.getBuiltinModule?.("node:os") as { homedir(): string } | undefined;
  return os?.homedir() ?? "";
}

function isSocket(process: NodeProcess, path: string): boolean {
  const files = process.getBuiltinModule?.("node:fs") as NodeFileSystem | undefined;
  try {
    return files?.statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
  } catch {
    return false;
  }
}

function isLoopback(hostname: string): boolean {
  return /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}
