import { BoxRunClient } from "../index.js";
import type { ServerOptions } from "./command-line.js";
import { print, printable } from "./output.js";

/**
 * Creates a client for the server that the options name, or else for one that is found, or for this machine. Prints a line if a server was found but refuses
 * the client.
 */
export async function openClient({ server, token }: ServerOptions): Promise<BoxRunClient> {
  const given = token ?? (process.env["BOXRUN_TOKEN"] || undefined);
  const client = new BoxRunClient({
    ...(server !== undefined && { backend: "remote", ...placeOf(server) }),
    ...(given !== undefined && { token: given }),
  });
  const { kind, tried } = await client.ready();
  const refused = kind === "local" ? tried.find(({ status }) => status === 401 || status === 403) : undefined;
  if (refused) {
    const why =
      refused.status === 403
        ? refused.outcome
        : given === undefined
          ? "it requires a token: set --token or BOXRUN_TOKEN"
          : "it refused the token";
    const line = `boxrun: running on this machine, not on the server at ${refused.place}: ${why}`;
    await print(process.stderr, `${printable(line)}\n`);
  }
  return client;
}

function placeOf(server: string): { socketPath: string } | { baseUrl: string } {
  return server.startsWith("unix:") ? { socketPath: server.slice("unix:".length) } : { baseUrl: server };
}
