import type { ByteConnection } from "../../../network/dialer.js";
import { concatBytes } from "../../../util/bytes.js";
import { deferred } from "../../../util/deferred.js";
import { startTimer } from "../../../util/timer.js";
import type { RecordKey } from "./keys.js";
import { ALERT, number, TlsError } from "./wire.js";

export const RECORD_TYPE = { changeCipherSpec: 20, alert: 21, handshake: 22, data: 23 } as const;

const HEADER_BYTES = 5;
const MAX_PLAIN_BYTES = 2 ** 14;
const MAX_SEALED_BYTES = MAX_PLAIN_BYTES + 256;
const VERSION = 0x0303;
const FATAL = 2;
const WARNING = 1;
/** Time for the other side to hear why a connection ends. */
const LINGER_MS = 2000;
/** Records that say nothing, one after the other, until the connection counts as abused. */
const MAX_EMPTY = 32;

/** A record, decrypted. */
export interface TlsRecord {
  type: number;
  data: Uint8Array;
}

/** The records of a connection: RFC 8446, 5. */
export class Records {
  readKey: RecordKey | undefined;
  /** Whether the other side has sent anything. */
  hasBegun = false;
  private writeKey: RecordKey | undefined;
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  private rest: Uint8Array = new Uint8Array(0);
  private writing: Promise<void> = Promise.resolve();

  /** Takes over the connection. */
  constructor(connection: ByteConnection) {
    this.reader = connection.readable.getReader();
    this.writer = connection.writable.getWriter();
    this.reader.closed.catch(() => {});
    this.writer.closed.catch(() => {});
  }

  /** Reads the next record; undefined when the other side has closed the connection. */
  async read(): Promise<TlsRecord | undefined> {
    for (let empty = 0; ; empty++) {
      const record = await this.readOne();
      if (!record || record.data.byteLength > 0) return record;
      if (record.type !== RECORD_TYPE.data || empty === MAX_EMPTY)
        throw new TlsError(ALERT.unexpectedMessage, "a record is empty");
    }
  }

  private async readOne(): Promise<TlsRecord | undefined> {
    const header = await this.exactly(HEADER_BYTES);
    if (!header) return undefined;
    const type = header[0]!;
    const bytes = header[3]! * 256 + header[4]!;
    if (header[1] !== 3 || type < RECORD_TYPE.changeCipherSpec || type > RECORD_TYPE.data)
      throw new TlsError(ALERT.decodeError, "this is no record of TLS");
    if (bytes > (this.readKey ? MAX_SEALED_BYTES : MAX_PLAIN_BYTES))
      throw new TlsError(ALERT.recordOverflow, "a record is too long");
    const body = await this.exactly(bytes);
    if (!body) throw new TlsError(ALERT.decodeError, "a record is cut");
    // Old middleboxes want to see one. It says nothing, and is not encrypted.
    if (!this.readKey || type === RECORD_TYPE.changeCipherSpec) return { type, data: body };
    if (type !== RECORD_TYPE.data) throw new TlsError(ALERT.unexpectedMessage, "a record is not encrypted");
    const plain = await this.readKey.open(header, body);
    // The type is the last byte that is not zero.
    let end = plain.byteLength - 1;
    while (end >= 0 && plain[end] === 0) end--;
    if (end < 0) throw new TlsError(ALERT.unexpectedMessage, "a record has no type");
    if (end > MAX_PLAIN_BYTES) throw new TlsError(ALERT.recordOverflow, "a record is too long");
    return { type: plain[end]!, data: plain.subarray(0, end) };
  }

  /** Sends bytes, in as many records as they need. */
  write(type: number, data: Uint8Array): Promise<void> {
    return this.inTurn(async () => {
      for (let at = 0; at < data.byteLength; at += MAX_PLAIN_BYTES)
        await this.writer.write(await this.pack(type, data.subarray(at, at + MAX_PLAIN_BYTES)));
    });
  }

  /** Encrypts with another key from here on. */
  useWriteKey(key: RecordKey): Promise<void> {
    return this.inTurn(async () => {
      this.writeKey = key;
    });
  }

  /** Tells the other side that no more comes. */
  async end(): Promise<void> {
    await this.write(RECORD_TYPE.alert, Uint8Array.of(WARNING, ALERT.closeNotify));
    await this.inTurn(() => this.writer.close());
  }

  /** Tells the other side why this ends, and cuts the connection. */
  async fail(error: unknown): Promise<void> {
    const alert = error instanceof TlsError ? error.alert : ALERT.internalError;
    const told = this.write(RECORD_TYPE.alert, Uint8Array.of(FATAL, alert))
      .then(() => this.writer.close())
      .then(() => this.drain());
    // A side that does not listen is not waited for.
    const late = deferred();
    const stop = startTimer(LINGER_MS, late.resolve);
    await Promise.race([told, late.promise]).catch(() => {});
    stop();
    this.cut(error);
  }

  /** Reads on to the end, so that the reset of a connection with unread bytes does not overtake the alert. */
  private async drain(): Promise<void> {
    while (!(await this.reader.read()).done);
  }

  /** Resets the connection. */
  cut(reason: unknown): void {
    this.reader.cancel(reason).catch(() => {});
    this.writer.abort(reason).catch(() => {});
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    this.writing = this.writing.then(work);
    // Whoever asked gets the error, and so do all later calls.
    this.writing.catch(() => {});
    return this.writing;
  }

  private async pack(type: number, data: Uint8Array): Promise<Uint8Array> {
    const header = (kind: number, bytes: number) =>
      concatBytes([Uint8Array.of(kind), number(2, VERSION), number(2, bytes)]);
    if (!this.writeKey || type === RECORD_TYPE.changeCipherSpec)
      return concatBytes([header(type, data.byteLength), data]);
    const inner = concatBytes([data, Uint8Array.of(type)]);
    const outer = header(RECORD_TYPE.data, inner.byteLength + 16);
    return concatBytes([outer, await this.writeKey.seal(outer, inner)]);
  }

  private async exactly(count: number): Promise<Uint8Array | undefined> {
    while (this.rest.byteLength < count) {
      const { done, value } = await this.reader.read();
      this.hasBegun ||= !done;
      if (!done) this.rest = this.rest.byteLength === 0 ? value : concatBytes([this.rest, value]);
      else if (this.rest.byteLength === 0) return undefined;
      else throw new TlsError(ALERT.decodeError, "a record is cut");
    }
    const bytes = this.rest.subarray(0, count);
    this.rest = this.rest.subarray(count);
    return bytes;
  }
}
