import type { Connection } from "../backend/backend.js";
import { BoxRunError, invalid } from "../backend/errors.js";
import { requireOptions } from "../backend/validate.js";
import { whenAborted } from "../util/abort.js";
import { toBase64 } from "../util/base64.js";
import type { ByteReader } from "../util/byte-reader.js";
import { concatBytes } from "../util/bytes.js";
import { deferred } from "../util/deferred.js";
import { inspect } from "../util/inspect.js";
import { startTimer } from "../util/timer.js";
import { headOf, outgoing } from "./fetch.js";
import { readerOf, readHead } from "./head.js";
import type { BoxWebSocket, WebSocketOptions } from "./port-types.js";

/** Constant of the handshake (RFC 6455, 1.3). */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** Largest message that is taken, in bytes. */
const MAX_MESSAGE_BYTES = 64 * 2 ** 20;
const MAX_CONTROL_BYTES = 125;
/** Longest wait for the server's answer to a close. */
const CLOSE_MS = 5000;
const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const NORMAL = 1000;
const PROTOCOL_FAULT = 1002;
const NO_STATUS = 1005;
const ABNORMAL = 1006;
const INVALID_TEXT = 1007;
const TOO_BIG = 1009;

interface Frame {
  isLast: boolean;
  opcode: number;
  payload: Uint8Array;
}

/** Opens a WebSocket over a new connection. Implements `BoxHandle.connectWebSocket`, which documents it. */
export async function openWebSocket(
  connect: (options: { signal?: AbortSignal }) => Promise<Connection>,
  port: number,
  path: string,
  options: WebSocketOptions = {},
): Promise<BoxWebSocket> {
  requireOptions(options, { protocols: true, headers: true, signal: true });
  const { protocols = [], headers = {}, signal } = options;
  const request = await outgoing(port, path, { headers: { ...headers }, ...(signal && { signal }) });
  const key = toBase64(crypto.getRandomValues(new Uint8Array(16)));
  const { headers: sent } = request;
  sent.delete("accept");
  sent.set("upgrade", "websocket");
  sent.set("sec-websocket-version", "13");
  sent.set("sec-websocket-key", key);
  if (protocols.length > 0) sent.set("sec-websocket-protocol", protocols.join(", "));
  const connection = await connect(signal ? { signal } : {});
  const ignoreSignal = whenAborted(signal, () => void connection.close());
  try {
    const writer = connection.writable.getWriter();
    await writer.write(headOf(request, "Upgrade"));
    const reader = readerOf(connection.readable);
    const head = await readHead(reader);
    if (head.status !== 101)
      throw new BoxRunError(
        "PROTOCOL_ERROR",
        `the server answered the WebSocket's handshake with status ${head.status}`,
        {
          status: head.status,
        },
      );
    if (head.headers.get("sec-websocket-accept") !== (await acceptOf(key)))
      throw new BoxRunError(
        "PROTOCOL_ERROR",
        "the server's answer to the WebSocket's handshake does not fit its key",
      );
    const protocol = head.headers.get("sec-websocket-protocol") ?? "";
    if (protocol !== "" && !protocols.includes(protocol))
      throw new BoxRunError(
        "PROTOCOL_ERROR",
        `the server chose a sub-protocol that was not offered: ${protocol}`,
      );
    return new OpenWebSocket(connection, reader, writer, protocol, ignoreSignal);
  } catch (error) {
    ignoreSignal();
    await connection.close();
    if (signal?.aborted) throw signal.reason;
    throw error;
  }
}

class OpenWebSocket implements BoxWebSocket {
  readonly readable: ReadableStream<string | Uint8Array>;
  readonly writable: WritableStream<string | Uint8Array>;
  private readonly end = deferred<{ code: number; reason: string }>();
  private isClosing = false;
  private isOver = false;
  /** The read that is under way: there is one at a time. */
  private reading: Promise<void> = Promise.resolve();
  private input: ReadableStreamDefaultController<string | Uint8Array> | undefined;
  private output: WritableStreamDefaultController | undefined;

  /** A property, so that it may be taken from the object. */
  readonly close = async (code = NORMAL, reason = ""): Promise<void> => {
    if (code !== NORMAL && !(Number.isInteger(code) && code >= 3000 && code <= 4999))
      throw invalid(`code must be 1000, or from 3000 to 4999, got ${code}`);
    const text = new TextEncoder().encode(reason);
    if (text.byteLength > MAX_CONTROL_BYTES - 2) throw invalid("reason must be at most 123 bytes");
    if (!this.isClosing) {
      this.isClosing = true;
      await this.send(OPCODES.close, concatBytes([Uint8Array.of(code >> 8, code & 255), text])).catch(
        () => {},
      );
      // Nobody reads any more, and the answer is still to be found.
      void this.drain();
    }
    const stop = startTimer(CLOSE_MS, () => this.finish(ABNORMAL, ""));
    await this.end.promise;
    stop();
  };

  constructor(
    private readonly connection: Connection,
    private readonly reader: ByteReader,
    private readonly writer: WritableStreamDefaultWriter<Uint8Array>,
    readonly protocol: string,
    private readonly ignoreSignal: () => void,
  ) {
    this.readable = new ReadableStream<string | Uint8Array>(
      {
        start: (controller) => {
          this.input = controller;
        },
        pull: () => {
          this.reading = this.pull();
          return this.reading;
        },
        cancel: () => void this.close(),
      },
      // One message is read ahead, so that a close, a cut and a ping are seen while nobody reads.
      { highWaterMark: 1 },
    );
    this.writable = new WritableStream<string | Uint8Array>({
      start: (controller) => {
        this.output = controller;
      },
      write: (message) => this.write(message),
      close: () => this.close(),
      abort: () => this.finish(ABNORMAL, ""),
    });
  }

  get closed(): Promise<{ code: number; reason: string }> {
    // Asked for, it keeps the process alive.
    this.connection.closed.catch(() => {});
    return this.end.promise;
  }

  /** Returns what `console.log` shows in Node, Deno and Bun. */
  [inspect](): object {
    return { BoxWebSocket: { protocol: this.protocol } };
  }

  private async write(message: string | Uint8Array): Promise<void> {
    if (typeof message === "string") return this.send(OPCODES.text, new TextEncoder().encode(message));
    if (!(message instanceof Uint8Array)) throw invalid("a message must be a string or a Uint8Array");
    return this.send(OPCODES.binary, message);
  }

  /** Sends a frame, masked as those of clients are. */
  private async send(opcode: number, payload: Uint8Array): Promise<void> {
    const { byteLength } = payload;
    const extended = byteLength < 126 ? 0 : byteLength < 65_536 ? 2 : 8;
    const frame = new Uint8Array(2 + extended + 4 + byteLength);
    const view = new DataView(frame.buffer);
    frame[0] = 0x80 | opcode;
    frame[1] = 0x80 | (extended === 0 ? byteLength : extended === 2 ? 126 : 127);
    if (extended === 2) view.setUint16(2, byteLength);
    if (extended === 8) view.setBigUint64(2, BigInt(byteLength));
    const mask = crypto.getRandomValues(frame.subarray(2 + extended, 6 + extended));
    for (let i = 0, at = 6 + extended; i < byteLength; i++) frame[at + i] = payload[i]! ^ mask[i & 3]!;
    await this.writer.write(frame);
  }

  private async pull(): Promise<void> {
    // Then `drain` reads.
    if (this.isClosing) return;
    const message = await this.next();
    if (message !== undefined && !this.isClosing) this.input?.enqueue(message);
  }

  private async drain(): Promise<void> {
    await this.reading;
    while (!this.isOver && (await this.next()) !== undefined);
  }

  /** Resolves to the next message, and to undefined when the WebSocket has ended. Answers pings and closes on the way. */
  private async next(): Promise<string | Uint8Array | undefined> {
    try {
      const parts: Uint8Array[] = [];
      let opcode = 0;
      for (let bytes = 0; ; ) {
        const frame = await this.frame(MAX_MESSAGE_BYTES - bytes);
        if (frame.opcode >= OPCODES.close) {
          if (await this.control(frame)) return undefined;
          continue;
        }
        if ((frame.opcode === OPCODES.continuation) !== opcode > 0)
          throw new Fault(PROTOCOL_FAULT, "a fragment is out of place");
        opcode ||= frame.opcode;
        parts.push(frame.payload);
        bytes += frame.payload.byteLength;
        if (frame.isLast) return messageOf(opcode, concatBytes(parts));
      }
    } catch (error) {
      const { code, message } =
        error instanceof Fault ? error : new Fault(ABNORMAL, "the connection was cut");
      if (error instanceof Fault)
        await this.send(OPCODES.close, Uint8Array.of(code >> 8, code & 255)).catch(() => {});
      this.finish(
        ABNORMAL,
        "",
        error instanceof BoxRunError
          ? error
          : new BoxRunError("STREAM_INTERRUPTED", `the WebSocket has failed: ${message}`),
      );
      return undefined;
    }
  }

  private async frame(limit: number): Promise<Frame> {
    const [first = 0, second = 0] = await this.reader.exactly(2);
    const opcode = first & 15;
    const isLast = (first & 0x80) !== 0;
    const isControl = opcode >= OPCODES.close;
    if ((first & 0x70) !== 0) throw new Fault(PROTOCOL_FAULT, "reserved bits are set");
    if (!Object.values<number>(OPCODES).includes(opcode))
      throw new Fault(PROTOCOL_FAULT, `the opcode is ${opcode}`);
    if ((second & 0x80) !== 0) throw new Fault(PROTOCOL_FAULT, "a frame of the server is masked");
    let length = second;
    if (isControl && (length > MAX_CONTROL_BYTES || !isLast))
      throw new Fault(PROTOCOL_FAULT, "a control frame is too long or in pieces");
    if (length >= 126) {
      const size = await this.reader.exactly(length === 126 ? 2 : 8);
      length = size.reduce((sum, byte) => sum * 256 + byte, 0);
    }
    if (length > limit) throw new Fault(TOO_BIG, `a message is larger than ${MAX_MESSAGE_BYTES} bytes`);
    return { isLast, opcode, payload: await this.reader.exactly(length) };
  }

  /** Answers a control frame. True when it ends the WebSocket. */
  private async control({ opcode, payload }: Frame): Promise<boolean> {
    if (opcode === OPCODES.ping) await this.send(OPCODES.pong, payload);
    if (opcode !== OPCODES.close) return false;
    const code = payload.byteLength >= 2 ? (payload[0]! << 8) | payload[1]! : NO_STATUS;
    if (!this.isClosing) await this.send(OPCODES.close, payload.subarray(0, 2)).catch(() => {});
    this.finish(code, new TextDecoder().decode(payload.subarray(2)));
    return true;
  }

  private finish(code: number, reason: string, failure?: BoxRunError): void {
    this.isClosing = true;
    this.isOver = true;
    this.ignoreSignal();
    this.end.resolve({ code, reason });
    try {
      if (failure) this.input?.error(failure);
      else this.input?.close();
    } catch {
      // It has been canceled.
    }
    this.output?.error(
      failure ?? new BoxRunError("STREAM_INTERRUPTED", `the server closed the WebSocket with code ${code}`),
    );
    void this.connection.close();
  }
}

/** A fault of the server against the protocol, with the code that it is told. */
class Fault extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

function messageOf(opcode: number, bytes: Uint8Array): string | Uint8Array {
  if (opcode === OPCODES.binary) return bytes;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Fault(INVALID_TEXT, "a text message is not UTF-8");
  }
}

async function acceptOf(key: string): Promise<string> {
  const bytes = new TextEncoder().encode(key + GUID);
  return toBase64(new Uint8Array(await crypto.subtle.digest("SHA-1", bytes)));
}
