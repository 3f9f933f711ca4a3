import type { ServerResponse } from "node:http";

/**
 * Writes a response as it is, with the status text and the headers that it has and no others. The client's pace is that of the body. A body that fails half way
 * cuts the connection, so that nobody takes it for complete.
 */
export async function writeResponse(response: Response, outgoing: ServerResponse): Promise<void> {
  const reader = response.body?.getReader();
  let isGone = false;
  let wake = () => {};
  outgoing.once("close", () => {
    isGone = true;
    wake();
    reader?.cancel().catch(() => {});
  });
  outgoing.on("drain", () => wake());
  outgoing.on("error", () => {});
  try {
    const headers = [...response.headers].flat();
    outgoing.writeHead(response.status, response.statusText || undefined, headers);
    outgoing.flushHeaders();
    while (reader && !isGone) {
      const { done, value } = await reader.read();
      if (done) break;
      const drained = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (!outgoing.write(value) && !isGone) await drained;
    }
    outgoing.end();
  } catch {
    outgoing.destroy();
  }
}
