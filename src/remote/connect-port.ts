import type { Connection } from "../backend/backend.js";
import { SocketConnection } from "../backend/socket-connection.js";
import { following, untilAborted, whenAborted } from "../util/abort.js";
import type { Http } from "./http/http.js";

/** Opens `GET .../ports/{port}/connect`. `signal` ends the attempt, not a connection that is open. */
export async function connectPort(
  http: Http,
  box: string,
  port: number,
  signal?: AbortSignal,
): Promise<Connection> {
  const attempt = following(signal);
  try {
    const call = { params: { box, port: String(port) }, signal: attempt.life.signal };
    const connection = await http.webSocket("connectPort", call, (socket, life, end) => {
      const options = { what: `connection to port ${port} of ${box}`, silenceMs: http.clocks.silenceMs };
      const opened = new SocketConnection(socket, {
        ...options,
        onEnd: () => {
          ignoreLife();
          end();
        },
      });
      const ignoreLife = whenAborted(life, (reason) => opened.fail(reason));
      return opened;
    });
    await untilAborted(connection.opened, signal);
    return connection;
  } finally {
    attempt.end();
  }
}
