import type { Capabilities } from "../../backend/backend.js";

/** Answer of a server to `GET /v1/info`. */
export interface ServerInfo {
  maxCpu: number;
  maxMemoryMb: number;
  /** "boxrun-ts/<version>"; null for servers of the published API alone. */
  server: string | null;
  capabilities: string[];
}

/** What extensions are called, and why there is none of them on a server that does not name it. */
const EXTENSIONS = {
  bytes:
    "this server sends output as text: bytes that are no UTF-8 arrive as replacement characters; download a file, or use base64",
  cursor: "this server replays the whole log to each reader; what was seen is dropped here",
  stdin: "this server gives commands no stdin: upload the input, and have the command read the file",
  signal: "this server sends no signals: use cancel(), or kill in another command",
  usage: "this server does not tell: run df in the box",
  files: "box.files runs commands in the box",
  stderr: "a shell of the box joins them",
} as const;

/** True for servers that have what the published API does not: those of this project. */
export function isExtended({ server }: ServerInfo): boolean {
  return server?.startsWith("boxrun-ts/") ?? false;
}

/** What a server can do, of all that not every backend can. */
export function capabilitiesOf(info: ServerInfo): Capabilities {
  const has = (name: string) => isExtended(info) && info.capabilities.includes(name);
  const extensions = Object.fromEntries(
    Object.entries(EXTENSIONS).map(([name, why]) => [name, has(name) || why]),
  ) as Record<keyof typeof EXTENSIONS, true | string>;
  // The published API has these; a server of ours serves a backend that may not.
  const published = (name: string, why: string) => !isExtended(info) || has(name) || why;
  return {
    ...extensions,
    network: published("network", "this server's boxes have no network"),
    volumes: published("volumes", "this server has no volumes; use upload"),
    persistence: published("persistence", "box.usage() says whether a box outlives the server"),
    attach: published("attach", "this server has no terminals; use execStream with stdin"),
    pull: "a server fetches its images by itself",
  };
}
