import { createLocalBackend } from "boxrun/local";
import type { RunningServer } from "../node.js";
import { serve } from "../server/node/serve.js";
import type { ServeCommand } from "./command-line.js";
import { MAX_PORT, parseInteger } from "./option-values.js";
import { print } from "./output.js";
import { EXIT } from "./run.js";

/** Serves boxes of this machine until a signal arrives. The first one stops the boxes and keeps their disks; a second ends the process at once. */
export async function serveCommand(command: ServeCommand, env: NodeJS.ProcessEnv): Promise<number> {
  const { host, port, socketPath, state, token, allowOrigins, previewDomain, network, volumes, relay } =
    withEnvironment(command, env);
  const backend = createLocalBackend({
    network: network ?? false,
    volumes: volumes ?? false,
    ...(state !== undefined && { state }),
  });
  let server: RunningServer | undefined;
  try {
    // Listened to from now on, since a signal may arrive during the start.
    const stopped = untilSignal();
    server = await serve(backend, {
      ...(host !== undefined && { host }),
      ...(port !== undefined && { port }),
      ...(socketPath !== undefined && { socketPath }),
      ...(token !== undefined && { token }),
      ...(allowOrigins && { allowOrigins }),
      ...(volumes && { allowVolumes: true }),
      ...(previewDomain !== undefined && { previewDomain }),
      ...(relay && { relay }),
    });
    for (const address of server.addresses) {
      const also =
        relay && address.startsWith("http")
          ? `boxrun: relay at ${relayUrl(address)}, to ${reachOf(relay)}\n`
          : "";
      await print(process.stdout, `boxrun: listening on ${address}\n${also}`);
    }
    await stopped;
  } finally {
    // The boxes first, so that clients still receive the end of their commands.
    await backend.close();
    await server?.close();
  }
  return 0;
}

/** Address of the relay of a server. Its token is left out: output ends in logs. */
function relayUrl(address: string): string {
  return `${address.replace(/^http/, "ws")}/v1/relay/?token=TOKEN`;
}

/** Describes what a relay connects to. */
function reachOf({ allow, deny }: NonNullable<ServeCommand["relay"]>): string {
  const reach = allow ? allow.join(", ") : "every public address";
  return deny ? `${reach}, but not ${deny.join(", ")}` : reach;
}

/** Adds what the environment says, for options that are not given. */
function withEnvironment(command: ServeCommand, env: NodeJS.ProcessEnv): ServeCommand {
  const socketPath = command.socketPath ?? env["BOXRUN_SOCKET"];
  const host = command.host ?? env["BOXRUN_HOST"];
  const named = env["BOXRUN_PORT"];
  const port = command.port ?? (named ? parseInteger("BOXRUN_PORT", named, MAX_PORT) : undefined);
  const token = command.token ?? env["BOXRUN_TOKEN"];
  const relayToken = command.relay?.token ?? env["BOXRUN_RELAY_TOKEN"];
  return {
    ...command,
    ...(socketPath && { socketPath }),
    ...(host && { host }),
    ...(port !== undefined && { port }),
    ...(token && { token }),
    ...(command.relay && { relay: { ...command.relay, ...(relayToken && { token: relayToken }) } }),
  };
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = () => {
      if (asked) process.exit(EXIT.failed);
      asked = true;
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}
