/** Members of Node's sockets that are used here. Deno and Bun have them, too. */
export interface ResettableSocket {
  readonly writableEnded: boolean;
  readonly writableFinished: boolean;
  destroy(): unknown;
  resetAndDestroy?(): unknown;
}

/**
 * Cuts a connection such that it does not look complete, where the runtime can.
 *
 * A socket whose end is under way is destroyed instead: libuv refuses to reset it (EINVAL), and Node then neither closes it nor lets the process end.
 */
export function resetSocket(socket: ResettableSocket): void {
  const isEnding = socket.writableEnded && !socket.writableFinished;
  if (socket.resetAndDestroy && !isEnding) socket.resetAndDestroy();
  else socket.destroy();
}
