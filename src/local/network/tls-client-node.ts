import { Duplex } from "node:stream";
import { connect } from "node:tls";
import type { ByteConnection } from "../../network/dialer.js";
import { connectionOf } from "./socket-connection-node.js";
import { PROTOCOLS } from "./tls/wire.js";

/** Time that a server has for its part of the handshake. */
const HANDSHAKE_MS = 30_000;

/**
 * Speaks TLS over a connection, as a client of the server of this name. The certificate is verified as Node does for every other connection of the process, by
 * NODE_EXTRA_CA_CERTS, too. Rejects, with the connection cut, when the handshake fails.
 */
export function encrypt(connection: ByteConnection, serverName: string): Promise<ByteConnection> {
  return new Promise((resolve, reject) => {
    const below = new ConnectionSocket(connection);
    const socket = connect({
      socket: below,
      servername: serverName,
      ALPNProtocols: PROTOCOLS,
      minVersion: "TLSv1.2",
      rejectUnauthorized: true,
    });
    const cut = () => {
      socket.destroy();
      below.destroy();
    };
    const fail = (error: Error) => {
      cut();
      reject(error);
    };
    const tooLate = () => fail(new Error(`the handshake took more than ${HANDSHAKE_MS} ms`));
    socket.setTimeout(HANDSHAKE_MS, tooLate);
    socket.once("close", () => reject(new Error("the server closed the connection during the handshake")));
    // Kept: an error of a socket that nobody listens to would end the process.
    socket.on("error", fail);
    socket.once("secureConnect", () => {
      socket.setTimeout(0, tooLate);
      resolve(connectionOf(socket, connection.address, cut));
    });
  });
}

/** A connection as a stream of Node. */
class ConnectionSocket extends Duplex {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private readonly writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor({ readable, writable }: ByteConnection) {
    super({ allowHalfOpen: true });
    this.reader = readable.getReader();
    this.writer = writable.getWriter();
    this.writer.closed.catch(() => {});
  }

  override _read(): void {
    this.reader.read().then(
      ({ done, value }) => this.push(done ? null : value),
      (error) => this.destroy(error),
    );
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.writer.write(chunk).then(() => done(), done);
  }

  override _final(done: (error?: Error) => void): void {
    this.writer.close().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const reason = error ?? new Error("the connection was closed");
    this.reader.cancel(reason).catch(() => {});
    this.writer.abort(reason).catch(() => {});
    done(error);
  }
}
