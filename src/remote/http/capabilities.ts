import type { Capabilities } from "../../backend/backend.js";

/** Answer of a server to `GET /v1/info`. */
export interface ServerInfo {
  maxCpu: number;
  maxMemoryMb: number;
  /** Name and version of the server's program, for people: "boxrun-ts/<version>"; null where it has none. */
  server: string | null;
  /** Names of its extensions. Empty for a server of the published API alone. */
  capabilities: readonly string[];
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
  watch: "this server does not report changes of files; list the directory again and again",
  secrets:
    "this server keeps no secrets from its boxes; give them in env, if the programs in the box may have them",
  stderr: "a shell in the box joins the outputs",
  ports: "this server has no connections to boxes; run a client in the box, such as wget",
} as const;

/**
 * Returns true for a server that has the extensions which have no name of their own: it takes uploads in pieces, keep-alives and the header `boxrun-client`, and lists
 * every other one that it has.
 */
export function isExtended({ capabilities }: ServerInfo): boolean {
  return capabilities.includes("extended");
}

/** Returns the capabilities of a server: what it lists is believed, whoever made it. */
export function capabilitiesOf(info: ServerInfo): Capabilities {
  const has = (name: string) => info.capabilities.includes(name);
  const extensions = Object.fromEntries(
    Object.entries(EXTENSIONS).map(([name, why]) => [name, has(name) || why]),
  ) as Record<keyof typeof EXTENSIONS, true | string>;
  // The published API has these, but an extended server may serve a backend without them.
  const published = (name: string, why: string) => !isExtended(info) || has(name) || why;
  const network = published(
    "network",
    "this server's boxes have no network; start boxrun serve with --allow-network",
  );
  return {
    ...extensions,
    network,
    secrets: network === true ? extensions.secrets : network,
    volumes: published(
      "volumes",
      "this server lets no box mount a directory; start boxrun serve with --allow-volumes DIR, or use upload",
    ),
    persistence: published("persistence", "box.usage() says whether a box outlives the server"),
    attach: published("attach", "this server has no terminals; use execStream with stdin"),
    pull: "a server fetches its images by itself",
  };
}
