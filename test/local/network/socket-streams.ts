import type { Socket } from "node:net";
import { Writable } from "node:stream";
import type { ByteConnection } from "../../../src/network/dialer.js";

/** Returns the streams of a socket. Node's own (`Duplex.toWeb`) do not end with one direction of it. */
export function streamsOf(socket: Socket): ByteConnection {
  const readable = new ReadableStream<Uint8Array>({
    start: (controller) => {
      socket.on("data", (data) => controller.enqueue(data));
      socket.on("end", () => controller.close());
      socket.on("error", (error) => controller.error(error));
    },
    cancel: () => void socket.destroy(),
  });
  return { readable, writable: Writable.toWeb(socket) };
}
