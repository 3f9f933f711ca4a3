import type { Backend, Connection } from "../backend/backend.js";
import { unsupported } from "../backend/errors.js";
import { type ConnectionSocket, SocketConnection } from "../backend/socket-connection.js";

/** Connects a socket to a port of a box until one of them ends. */
export async function serveConnection(
  backend: Backend,
  { boxId, port }: { boxId: () => Promise<string>; port: number },
  socket: ConnectionSocket,
  { keepAliveMs }: { keepAliveMs: number },
): Promise<void> {
  const gone = new AbortController();
  const client = new SocketConnection(socket, { what: "the connection to the client", keepAliveMs });
  client.closed.catch((reason) => gone.abort(reason));
  let server: Connection | undefined;
  try {
    if (!backend.ports) throw unsupported("this backend has no connections to boxes");
    server = await backend.ports.connect(await boxId(), port, { signal: gone.signal });
    gone.signal.throwIfAborted();
    client.open();
    await Promise.all([pass(server.readable, client.writable), pass(client.readable, server.writable)]);
    await client.closed;
  } catch (error) {
    client.fail(error);
    await server?.close();
  }
}

/** Passes on what a side sends, and its end. */
async function pass(from: ReadableStream<Uint8Array>, to: WritableStream<Uint8Array>): Promise<void> {
  const reader = from.getReader();
  const writer = to.getWriter();
  for (let next = await reader.read(); !next.done; next = await reader.read()) await writer.write(next.value);
  await writer.close();
}
