/**
 * A TLS 1.3 server for the programs in a box. It stands where a request has to be read on its way out. Only the guest talks to it, which owns what is said; TLS to the world is the host's.
 *
 * Source: RFC 8446.
 */

import type { ByteConnection } from "../../../network/dialer.js";
import { concatBytes } from "../../../util/bytes.js";
import type { Certificate } from "./certificate.js";
import {
  type ClientHello,
  EXTENSION,
  GROUPS,
  type Group,
  readClientHello,
  SIGNATURE,
  TLS_1_3,
} from "./client-hello.js";
import { agree } from "./key-agreement.js";
import { finishedOf, hash, KeySchedule, nextSecret, RecordKey, type TrafficSecret } from "./keys.js";
import { RECORD_TYPE, Records } from "./records.js";
import { ALERT, ascii, Cursor, number, TlsError, vector } from "./wire.js";

const MESSAGE = {
  clientHello: 1,
  serverHello: 2,
  encryptedExtensions: 8,
  certificate: 11,
  certificateVerify: 15,
  finished: 20,
  keyUpdate: 24,
  messageHash: 254,
} as const;
const MAX_MESSAGE_BYTES = 64 * 1024;
const OLD_VERSION = 0x0303;
/** The random number by which a "server hello" asks for another "client hello". */
const RETRY_RANDOM = hash(ascii("HelloRetryRequest"));
const UPDATE_REQUESTED = 1;
const MAX_UPDATES = 1024;

/** Options of {@link acceptTls}. */
export interface TlsOptions {
  /** Returns the certificate of a server. Rejects when it has none, and the client is told that the name is unknown. */
  certify(serverName: string): Promise<Certificate>;
  /** Protocols of which the first that the client offers is chosen. A client that offers none gets any. */
  protocols: readonly string[];
  /** Called before the connection is cut because the handshake has failed. Not called for a client that has left without a byte, as one that looks for open ports. */
  onFailure?(error: TlsError): void;
}

/** A connection whose bytes are encrypted on their way. */
export interface TlsConnection extends ByteConnection {
  /** Name of the server that the client asked for, in lower case. */
  readonly serverName: string;
  /** Protocol that was chosen; undefined when the client offered none. */
  readonly protocol: string | undefined;
}

/** Takes over a connection and performs the handshake. Rejects, with the connection cut and the client told why, when that fails. */
export async function acceptTls(connection: ByteConnection, options: TlsOptions): Promise<TlsConnection> {
  const records = new Records(connection);
  try {
    return await new Handshake(records, options).run();
  } catch (error) {
    if (error instanceof TlsError && records.hasBegun) options.onFailure?.(error);
    await records.fail(error);
    throw error;
  }
}

interface Message {
  type: number;
  body: Uint8Array;
  /** The whole message, as the transcript has it. */
  bytes: Uint8Array;
}

class Handshake {
  private readonly transcript: Uint8Array[] = [];
  private held: Uint8Array = new Uint8Array(0);

  constructor(
    private readonly records: Records,
    private readonly options: TlsOptions,
  ) {}

  async run(): Promise<TlsConnection> {
    const { hello, group } = await this.receiveHello();
    const { serverName, suite } = hello;
    if (serverName === undefined)
      throw new TlsError(ALERT.unrecognizedName, "the client does not name its server");
    const certificate = await this.options.certify(serverName).catch(() => {
      throw new TlsError(ALERT.unrecognizedName, `there is no certificate for ${serverName}`);
    });
    const protocol = this.chooseProtocol(hello.protocols);

    const { share, secret } = await agree(group, hello.shares.get(group)!);
    await this.send(MESSAGE.serverHello, serverHello(hello, randomBytes(32), group, share));
    // Old middleboxes want to see one.
    if (hello.sessionId.byteLength > 0)
      await this.records.write(RECORD_TYPE.changeCipherSpec, Uint8Array.of(1));
    const keys = new KeySchedule(secret);
    const ours = keys.traffic("s", "hs", this.hash());
    const theirs = keys.traffic("c", "hs", this.hash());
    await this.records.useWriteKey(new RecordKey(suite, ours));
    // In one record: each costs the guest a packet, two system calls and a decryption.
    const flight = [
      this.add(MESSAGE.encryptedExtensions, encryptedExtensions(protocol)),
      this.add(MESSAGE.certificate, certificateMessage(certificate)),
      this.add(MESSAGE.certificateVerify, await proof(certificate, this.hash())),
      this.add(MESSAGE.finished, finishedOf(ours, this.hash())),
    ];
    await this.records.write(RECORD_TYPE.handshake, concatBytes(flight));

    keys.enterData();
    const secrets = {
      ours: keys.traffic("s", "ap", this.hash()),
      theirs: keys.traffic("c", "ap", this.hash()),
    };
    await this.records.useWriteKey(new RecordKey(suite, secrets.ours));
    this.records.readKey = new RecordKey(suite, theirs);
    const expected = finishedOf(theirs, this.hash());
    const { type, body } = await this.receive();
    if (type !== MESSAGE.finished || this.held.byteLength > 0)
      throw new TlsError(ALERT.unexpectedMessage, "the client did not finish");
    if (!isEqual(body, expected)) throw new TlsError(ALERT.decryptError, "the client's end does not fit");
    this.records.readKey = new RecordKey(suite, secrets.theirs);
    return { serverName, protocol, ...new DataStreams(this.records, suite, secrets).streams };
  }

  /** Receives the client's hello, and asks for another when it has no share of a group that fits. */
  private async receiveHello(): Promise<{ hello: ClientHello; group: Group }> {
    const first = readClientHello(await this.receiveHelloBody());
    const shared = GROUPS.find((group) => first.shares.has(group));
    if (shared) return { hello: first, group: shared };
    const group = GROUPS.find((one) => first.groups.includes(one));
    if (!group) throw new TlsError(ALERT.handshakeFailure, "no group fits");
    const digest = this.hash();
    this.transcript.splice(0, 1, message(MESSAGE.messageHash, digest));
    await this.send(MESSAGE.serverHello, serverHello(first, RETRY_RANDOM, group));
    const hello = readClientHello(await this.receiveHelloBody());
    if (!hello.shares.has(group) || hello.suite !== first.suite)
      throw new TlsError(ALERT.illegalParameter, "the second hello does not fit the first");
    return { hello, group };
  }

  private async receiveHelloBody(): Promise<Uint8Array> {
    const { type, body } = await this.receive();
    if (type !== MESSAGE.clientHello || this.held.byteLength > 0)
      throw new TlsError(ALERT.unexpectedMessage, "the client does not begin with a hello");
    return body;
  }

  private chooseProtocol(offered: readonly string[]): string | undefined {
    if (offered.length === 0) return undefined;
    const protocol = this.options.protocols.find((one) => offered.includes(one));
    if (protocol === undefined) throw new TlsError(ALERT.noApplicationProtocol, "no protocol fits");
    return protocol;
  }

  private async send(type: number, body: Uint8Array): Promise<void> {
    await this.records.write(RECORD_TYPE.handshake, this.add(type, body));
  }

  /** Adds a message to the transcript, and returns its bytes. */
  private add(type: number, body: Uint8Array): Uint8Array {
    const bytes = message(type, body);
    this.transcript.push(bytes);
    return bytes;
  }

  private async receive(): Promise<Message> {
    for (;;) {
      const found = takeMessage(this.held);
      if (found) {
        this.held = this.held.subarray(found.bytes.byteLength);
        this.transcript.push(found.bytes);
        return found;
      }
      const record = await this.records.read();
      if (!record) throw new TlsError(ALERT.decodeError, "the client has left");
      if (record.type === RECORD_TYPE.handshake) this.held = concatBytes([this.held, record.data]);
      else if (record.type === RECORD_TYPE.alert)
        throw new TlsError(ALERT.closeNotify, `the client gave up with alert ${record.data[1]}`);
      else if (record.type !== RECORD_TYPE.changeCipherSpec)
        throw new TlsError(ALERT.unexpectedMessage, "data came before the handshake was complete");
    }
  }

  private hash(): Uint8Array {
    return hash(...this.transcript);
  }
}

/** The two streams of a connection whose handshake is complete. */
class DataStreams {
  readonly streams: ByteConnection;
  private held: Uint8Array = new Uint8Array(0);
  private updates = 0;

  constructor(
    private readonly records: Records,
    private readonly suite: RecordSuite,
    private readonly secrets: { ours: TrafficSecret; theirs: TrafficSecret },
  ) {
    const readable = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.pull(controller),
        cancel: (reason) => records.cut(reason),
      },
      { highWaterMark: 0 },
    );
    const writable = new WritableStream<Uint8Array>({
      write: (bytes) => records.write(RECORD_TYPE.data, bytes),
      close: () => records.end(),
      abort: (reason) => records.cut(reason),
    });
    this.streams = { readable, writable };
  }

  private async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      for (;;) {
        const record = await this.records.read();
        if (!record) throw new TlsError(ALERT.closeNotify, "the connection was cut");
        if (record.type === RECORD_TYPE.data) return controller.enqueue(record.data);
        if (record.type === RECORD_TYPE.handshake) await this.takeMessages(record.data);
        else if (record.type !== RECORD_TYPE.alert)
          throw new TlsError(ALERT.unexpectedMessage, "a record has no place here");
        else if (record.data[1] === ALERT.closeNotify) return controller.close();
        else throw new TlsError(ALERT.closeNotify, `the client gave up with alert ${record.data[1]}`);
      }
    } catch (error) {
      await this.records.fail(error);
      throw error;
    }
  }

  /** Takes messages that come among the data. Of those that a client may send there is but one: it changes its key. */
  private async takeMessages(bytes: Uint8Array): Promise<void> {
    this.held = concatBytes([this.held, bytes]);
    for (let found = takeMessage(this.held); found; found = takeMessage(this.held)) {
      this.held = this.held.subarray(found.bytes.byteLength);
      const { type, body } = found;
      if (type !== MESSAGE.keyUpdate || body.byteLength !== 1 || body[0]! > UPDATE_REQUESTED)
        throw new TlsError(ALERT.unexpectedMessage, "a message has no place here");
      if (this.held.byteLength > 0 || ++this.updates > MAX_UPDATES)
        throw new TlsError(ALERT.unexpectedMessage, "a key update is followed by others");
      this.secrets.theirs = nextSecret(this.secrets.theirs);
      this.records.readKey = new RecordKey(this.suite, this.secrets.theirs);
      if (body[0] === UPDATE_REQUESTED) await this.updateKey();
    }
  }

  private async updateKey(): Promise<void> {
    const update = this.records.write(RECORD_TYPE.handshake, message(MESSAGE.keyUpdate, Uint8Array.of(0)));
    this.secrets.ours = nextSecret(this.secrets.ours);
    const key = this.records.useWriteKey(new RecordKey(this.suite, this.secrets.ours));
    await Promise.all([update, key]);
  }
}

type RecordSuite = ClientHello["suite"];

function takeMessage(bytes: Uint8Array): Message | undefined {
  if (bytes.byteLength < 4) return undefined;
  const cursor = new Cursor(bytes);
  const type = cursor.number(1);
  const length = cursor.number(3);
  if (length > MAX_MESSAGE_BYTES) throw new TlsError(ALERT.decodeError, "a message is too long");
  if (bytes.byteLength < 4 + length) return undefined;
  return { type, body: cursor.take(length), bytes: bytes.subarray(0, 4 + length) };
}

function message(type: number, body: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(type), vector(3, body)]);
}

function extension(id: number, ...body: Uint8Array[]): Uint8Array {
  return concatBytes([number(2, id), vector(2, ...body)]);
}

/** A "server hello"; without a share, the one that asks for another "client hello". */
function serverHello(
  { sessionId, suite }: ClientHello,
  random: Uint8Array,
  group: Group,
  share?: Uint8Array,
): Uint8Array {
  const keyShare = share ? [number(2, group), vector(2, share)] : [number(2, group)];
  return concatBytes([
    number(2, OLD_VERSION),
    random,
    vector(1, sessionId),
    number(2, suite.id),
    Uint8Array.of(0),
    vector(2, extension(EXTENSION.versions, number(2, TLS_1_3)), extension(EXTENSION.keyShares, ...keyShare)),
  ]);
}

function encryptedExtensions(protocol: string | undefined): Uint8Array {
  if (protocol === undefined) return vector(2);
  return vector(2, extension(EXTENSION.protocols, vector(2, vector(1, ascii(protocol)))));
}

function certificateMessage({ chain }: Certificate): Uint8Array {
  const noExtensions = vector(2);
  const entries = chain.map((der) => concatBytes([vector(3, der), noExtensions]));
  return concatBytes([vector(1), vector(3, ...entries)]);
}

/** Proves that the certificate is ours: RFC 8446, 4.4.3. */
async function proof({ sign }: Certificate, transcript: Uint8Array): Promise<Uint8Array> {
  const context = ascii("TLS 1.3, server CertificateVerify");
  const signed = concatBytes([new Uint8Array(64).fill(32), context, Uint8Array.of(0), transcript]);
  return concatBytes([number(2, SIGNATURE), vector(2, await sign(signed))]);
}

function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  if (one.byteLength !== other.byteLength) return false;
  return one.reduce((difference, byte, at) => difference | (byte ^ other[at]!), 0) === 0;
}
