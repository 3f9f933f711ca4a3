import type { ByteConnection } from "../../../network/dialer.js";
import type { ByteReader } from "../../../util/byte-reader.js";
import { concatBytes } from "../../../util/bytes.js";
import { end, type Refusal, refuse, writeRefusal } from "../http/refusal.js";
import {
  bodyPieces,
  bytesOf,
  framingOf,
  hasWord,
  PIECE_BYTES,
  RefusedRequest,
  type RequestHead,
  readHead,
  requestReader,
  requireHost,
} from "../http/requests.js";
import { answerLines } from "./headers.js";
import { ANOTHER_WAY, type PageRequest } from "./page-fetch.js";

/** Largest body of a request, in bytes. It is kept in memory, since browsers stream none. */
const MAX_BODY_BYTES = 16 * 2 ** 20;
/** Bytes of all bodies of requests of a box that are on their way. */
const MAX_BODIES_BYTES = 64 * 2 ** 20;
/** Statuses of answers without a body. */
const WITHOUT_BODY = [204, 205, 304];

/** Server of the requests of a connection. */
export interface RequestServer {
  /** Name or address that all requests must be for. */
  host: string;
  port: number;
  /** Room for the bodies of the box's requests. */
  room: BodyRoom;
  /** Answers a request. */
  answer(request: PageRequest): Promise<Response | Refusal>;
  /** Called with the reason when a request is refused, and with undefined when one is answered. */
  onRefusal(message: string | undefined): void;
}

/** Room for bodies that are kept in memory. */
export class BodyRoom {
  private takenBytes = 0;

  /** Takes room. @throws {RefusedRequest} when there is none */
  take(bytes: number): void {
    if (this.takenBytes + bytes > MAX_BODIES_BYTES)
      throw new RefusedRequest(503, "the bodies of other requests take all the room that there is for them");
    this.takenBytes += bytes;
  }

  release(bytes: number): void {
    this.takenBytes -= bytes;
  }
}

/** Serves the requests of a program over a connection, one after the other. Never rejects: the connection is cut instead. */
export async function serveRequests(
  { readable, writable }: ByteConnection,
  server: RequestServer,
): Promise<void> {
  const reader = requestReader(readable);
  const to = writable.getWriter();
  to.closed.catch(() => {});
  try {
    while (await serveRequest(reader, to, server));
    await end(reader, to);
  } catch (error) {
    // A request is only read when the answer to the one before has been written.
    if (error instanceof RefusedRequest) {
      server.onRefusal(error.message);
      return refuse(reader, to, error);
    }
    to.abort(error).catch(() => {});
    await reader.cancel(error);
  }
}

/** Serves a request. Resolves to false when no other one follows. */
async function serveRequest(
  reader: ByteReader,
  to: WritableStreamDefaultWriter<Uint8Array>,
  { host, port, room, answer, onRefusal }: RequestServer,
): Promise<boolean> {
  const head = await readHead(reader);
  if (!head) return false;
  requireHost(head.headers, host, port);
  if (hasWord(head.headers, "upgrade", "websocket"))
    throw new RefusedRequest(501, `a page carries no WebSockets of its boxes. Instead, ${ANOTHER_WAY}`);
  const closes = head.isOld || hasWord(head.headers, "connection", "close");
  const body = new Body(room);
  let answered: Response | Refusal;
  try {
    await readBody(reader, to, head, body);
    answered = await answer({ ...head, body: body.bytes });
  } finally {
    body.release();
  }
  const isHead = head.method === "HEAD";
  if (answered instanceof Response) {
    onRefusal(undefined);
    await writeAnswer(to, answered, { closes, isHead, isOld: head.isOld });
  } else {
    onRefusal(answered.message);
    await writeRefusal(to, answered, { closes, isHead });
  }
  return !closes;
}

/** Reads the whole body of a request, after the program has been told to send it where it waits for that. */
async function readBody(
  reader: ByteReader,
  to: WritableStreamDefaultWriter<Uint8Array>,
  { headers, isOld }: RequestHead,
  body: Body,
): Promise<void> {
  const framing = framingOf(headers);
  if (framing !== "chunked") requireSize(framing);
  if (framing !== 0 && !isOld && hasWord(headers, "expect", "100-continue"))
    await to.write(bytesOf("HTTP/1.1 100 Continue\r\n\r\n"));
  for await (const piece of bodyPieces(reader, framing)) body.push(piece);
}

function requireSize(bytes: number): void {
  if (bytes > MAX_BODY_BYTES)
    throw new RefusedRequest(
      413,
      `a page sends at most ${MAX_BODY_BYTES} bytes as the body of a request. Instead, ${ANOTHER_WAY}`,
    );
}

/** Body of a request. Bytes that come one by one take no more memory than those that come at once. */
class Body {
  private byteLength = 0;
  private buffer = new Uint8Array(0);

  constructor(private readonly room: BodyRoom) {}

  get bytes(): Uint8Array {
    return this.buffer.subarray(0, this.byteLength);
  }

  push(piece: Uint8Array): void {
    const needed = this.byteLength + piece.byteLength;
    requireSize(needed);
    this.room.take(piece.byteLength);
    if (needed > this.buffer.byteLength) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.buffer.byteLength));
      grown.set(this.bytes);
      this.buffer = grown;
    }
    this.buffer.set(piece, this.byteLength);
    this.byteLength = needed;
  }

  release(): void {
    this.room.release(this.byteLength);
  }
}

/** Writes an answer: its body in chunks, since its length is that of what the browser has decoded; or to the end of the connection, for programs that know no chunks. */
async function writeAnswer(
  to: WritableStreamDefaultWriter<Uint8Array>,
  { status, statusText, headers, body }: Response,
  { closes, isHead, isOld }: { closes: boolean; isHead: boolean; isOld: boolean },
): Promise<void> {
  const hasBody = !isHead && !WITHOUT_BODY.includes(status);
  const lines = [
    `HTTP/1.1 ${status} ${statusText.replace(/[^\t\x20-\x7e]/g, "")}`,
    ...answerLines(headers, isHead),
    ...(hasBody && !isOld ? ["transfer-encoding: chunked"] : []),
    ...(status === 205 ? ["content-length: 0"] : []),
    ...(closes ? ["connection: close"] : []),
  ];
  await to.write(bytesOf([...lines, "", ""].join("\r\n")));
  if (!hasBody) return body?.cancel();
  const end = isOld ? "" : "0\r\n\r\n";
  const reader = body?.getReader();
  try {
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read())
      for (let at = 0; at < next.value.byteLength; at += PIECE_BYTES) {
        const piece = next.value.subarray(at, at + PIECE_BYTES);
        await to.write(isOld ? piece : chunkOf(piece));
      }
  } catch (error) {
    reader?.cancel(error).catch(() => {});
    throw error;
  }
  if (end) await to.write(bytesOf(end));
}

function chunkOf(piece: Uint8Array): Uint8Array {
  return concatBytes([bytesOf(`${piece.byteLength.toString(16)}\r\n`), piece, bytesOf("\r\n")]);
}
