import type { ByteReader } from "../../../util/byte-reader.js";
import { startTimer } from "../../../util/timer.js";

const REASONS = {
  400: "Bad Request",
  403: "Forbidden",
  413: "Content Too Large",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
};
/** Time for which is read what a program still sends. */
const DRAIN_MS = 10_000;

/** Status of an answer that comes from here, and not from the server that was asked. */
export type RefusalStatus = keyof typeof REASONS;

/** Reason why a request does not reach its server. */
export interface Refusal {
  readonly status: RefusalStatus;
  readonly message: string;
}

/** Writes the answer that says why a request does not reach its server. A request by HEAD gets it without the body. */
export async function writeRefusal(
  to: WritableStreamDefaultWriter<Uint8Array>,
  { status, message }: Refusal,
  { closes = true, isHead = false } = {},
): Promise<void> {
  const body = new TextEncoder().encode(`boxrun: ${message}\n`);
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status]}`,
    "content-type: text/plain; charset=utf-8",
    `content-length: ${body.byteLength}`,
    ...(closes ? ["connection: close"] : []),
  ];
  await to.write(new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`));
  if (!isHead) await to.write(body);
}

/**
 * Says why a request does not reach its server, and ends the connection. What the program still sends is read for a moment, since many read nothing before they have sent everything. Never
 * rejects.
 */
export async function refuse(
  reader: ByteReader,
  to: WritableStreamDefaultWriter<Uint8Array>,
  refusal: Refusal,
): Promise<void> {
  // It rejects when the program has left.
  await end(reader, to, () => writeRefusal(to, refusal)).catch(() => {});
}

/** Ends a connection after a last answer, if there is another one to write. What the program still sends is read for a moment: a reset would overtake the answer. */
export async function end(
  reader: ByteReader,
  to: WritableStreamDefaultWriter<Uint8Array>,
  writeLast = async () => {},
): Promise<void> {
  const stopTimer = startTimer(DRAIN_MS, () => void reader.cancel());
  try {
    await writeLast();
    await to.close();
    while (await reader.some(Number.POSITIVE_INFINITY));
  } finally {
    stopTimer();
    await reader.cancel();
  }
}
