import type { Socket } from "node:net";
import { type ByteConnection, DialError } from "../../network/dialer.js";
import { whenStreamAborted } from "../../util/abort.js";
import { resetSocket } from "../../util/reset-socket.js";

/** Number of bytes from the far side that wait for a reader before the socket is paused. */
const READ_AHEAD_BYTES = 256 * 1024;
/** Least that a piece counts for there: a server may send its bytes one by one, and each takes far more than itself. */
const MIN_PIECE_COST = 1024;

/** Returns the streams of a socket that is connected. Each direction has back-pressure, and ends by itself. `cut` resets the socket. */
export function connectionOf(
  socket: Socket,
  address?: string,
  cut: () => void = () => resetSocket(socket),
): ByteConnection {
  let failReading = (_error: unknown) => {};
  let failWriting = (_error: unknown) => {};
  let hasEnded = false;
  let isOver = false;
  const fail = (error: unknown) => {
    if (isOver) return;
    isOver = true;
    failReading(error);
    failWriting(error);
  };
  const giveUp = (reason: unknown) => {
    cut();
    fail(reason);
  };
  const readable = new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        failReading = (error) => hasEnded || controller.error(error);
        socket.on("data", (chunk: Uint8Array) => {
          if (isOver) return;
          controller.enqueue(chunk);
          if ((controller.desiredSize ?? 0) <= 0) socket.pause();
        });
        socket.on("end", () => {
          if (isOver) return;
          hasEnded = true;
          controller.close();
        });
      },
      pull: () => void socket.resume(),
      cancel: giveUp,
    },
    {
      highWaterMark: READ_AHEAD_BYTES,
      size: ({ byteLength }) => Math.max(byteLength, MIN_PIECE_COST),
    },
  );
  const writable = new WritableStream<Uint8Array>({
    start: (controller) => {
      failWriting = (error) => controller.error(error);
      whenStreamAborted(controller, cut);
    },
    write: (chunk) => settled((done) => socket.write(chunk, done)),
    close: () => settled((done) => socket.end(done)),
    abort: giveUp,
  });
  socket.on("error", (cause) => fail(new DialError("ECONNRESET", cause.message, { cause })));
  socket.on("close", () => {
    // Both ends came by themselves.
    if (hasEnded && socket.writableFinished) isOver = true;
    else fail(new DialError("ECONNRESET", "the connection was cut"));
  });
  return { ...(address !== undefined && { address }), readable, writable };
}

function settled(work: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    work((error) =>
      error ? reject(new DialError("ECONNRESET", error.message, { cause: error })) : resolve(),
    );
  });
}
