import { type BoxHandle, type BoxRunClient, BoxRunError, type Forwarding, isBoxRunError } from "../index.js";
import type { ForwardCommand } from "./command-line.js";
import { openClient } from "./connection.js";
import type { PublishedPort } from "./option-values.js";
import { print } from "./output.js";

/** Makes ports of this machine lead to ports of a box, until this process is interrupted or the box ends. */
export async function forwardCommand({ box: name, ports, ...server }: ForwardCommand): Promise<number> {
  await using client = await openClient(server);
  const box = await findBox(client, name);
  const interrupted = untilInterrupted();
  const forwardings = await publish(box, ports);
  try {
    const ended = Promise.race(forwardings.map(({ closed }) => closed.then(() => false)));
    if (await Promise.race([interrupted, ended])) return 0;
    await print(process.stderr, `boxrun: box ${name} is not running any more\n`);
    return 1;
  } finally {
    await Promise.all(forwardings.map((one) => one.close()));
  }
}

async function findBox(client: BoxRunClient, name: string): Promise<BoxHandle> {
  const { kind } = await client.ready();
  return client.getBox(name).catch((cause) => {
    if (kind !== "local" || !isBoxRunError(cause) || cause.code !== "BOX_NOT_FOUND") throw cause;
    throw new BoxRunError(cause.code, `${cause.message} on this machine, and no BoxRun server answers`, {
      cause,
      hint: "a box that another program emulates is reached through its server: --server SERVER",
    });
  });
}

/** Makes ports of this machine lead to those of a box, and prints them on stderr. Nothing stays open when one of them cannot be had. */
export async function publish(box: BoxHandle, ports: readonly PublishedPort[]): Promise<Forwarding[]> {
  const open: Forwarding[] = [];
  try {
    for (const { port, hostPort } of ports) {
      const one = await box.forward(port, hostPort === 0 ? {} : { hostPort });
      open.push(one);
      await print(process.stderr, `boxrun: ${one.url} leads to port ${port} of the box\n`);
    }
    return open;
  } catch (error) {
    await Promise.all(open.map((one) => one.close()));
    throw error;
  }
}

function untilInterrupted(): Promise<true> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(true));
  });
}
