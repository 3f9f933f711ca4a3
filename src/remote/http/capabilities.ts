import type { Capabilities } from "../../backend/backend.js";

/** Answer of a server to `GET /v1/info`. */
export interface ServerInfo {
  maxCpu: number;
  maxMemoryMb: number;
  /** "boxrun-ts/<version>"; null for servers of the published API alone. */
  server: string | null;
  capabilities: string[];
}

/** Names of extensions, with the reasons that are given on a server without them. */
const EXTENSIONS = {
  bytes:
    "this server sends output as text: bytes that are not UTF-8 arrive as replacement characters; download a file, or use base64",
  cursor: "this server replays the whole log to each reader; this client drops what it has seen",
  stdin: "this server has no stdin for commands; upload the input and have the command read the file",
  signal: "this server cannot send signals; use cancel(), or run kill in another command",
  usage: "this server does not report usage; run df in the box",
  files: "box.files runs commands in the box",
  stderr: "a shell in the box joins the outputs",
} as const;

/** Returns true for servers of this project, which have extensions to the published API. */
export function isExtended({ server }: ServerInfo): boolean {
  return server?.startsWith("boxrun-ts/") ?? false;
}

/** Returns the capabilities of a server. */
export function capabilitiesOf(info: ServerInfo): Capabilities {
  const has = (name: string) => isExtended(info) && info.capabilities.includes(name);
  const extensions = Object.fromEntries(
    Object.entries(EXTENSIONS).map(([name, why]) => [name, has(name) || why]),
  ) as Record<keyof typeof EXTENSIONS, true | string>;
  // The published API has these, but a server of this project may serve a backend without them.
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
