/**
 * The name server that a guest asks. Each name has an address of its own, which exists nowhere else: a connection to it is one to the name. So rules about names are exact, whatever
 * addresses a name shares with others, and nothing the guest is told can be made to mean another host later.
 */
import type { ByteConnection, Dialer } from "../../network/dialer.js";
import { following, untilAborted } from "../../util/abort.js";
import { concatBytes } from "../../util/bytes.js";
import { startTimer } from "../../util/timer.js";
import { type DnsQuery, makeAnswer, RECORD, RESPONSE, readQuery } from "./dns-message.js";
import { readUint16, writeUint16 } from "./ipv4.js";

/** Addresses for names: 198.18.0.0/15, which RFC 2544 sets apart for tests of devices. */
const FIRST_ADDRESS = 0xc6120000;
const BLOCK_BYTES = 256;
/** Addresses of a block that names get: neither .0 nor .255, which old programs take for something else. */
const ADDRESSES_OF_BLOCK = 254;
const MAX_NAMES = 512 * ADDRESSES_OF_BLOCK;
/** Time until a lookup counts as failed. The guest's resolver waits for five seconds, and asks twice. */
const LOOKUP_MS = 8000;
const LOOPBACK = 0x7f000001;
const REVERSE_ZONE = ".in-addr.arpa";

export class NameServer {
  private readonly addresses = new Map<string, number>();
  private readonly namesByAddress = new Map<number, string>();
  private handedOut = 0;

  constructor(
    private readonly dialer: Dialer,
    private readonly closing: AbortSignal,
  ) {}

  /** Returns the name that has an address; undefined if none has. */
  nameOf(address: number): string | undefined {
    return this.namesByAddress.get(address);
  }

  /** Answers a message. Undefined for one that makes no sense. Never rejects. */
  async answer(message: Uint8Array): Promise<Uint8Array | undefined> {
    const query = readQuery(message);
    if (!query) return undefined;
    if (query.refusal !== undefined) return makeAnswer(query, { response: query.refusal });
    try {
      return await this.look(query);
    } catch {
      return makeAnswer(query, { response: RESPONSE.failure });
    }
  }

  /** Makes a connection on which messages are asked and answered by TCP. */
  connect(): ByteConnection {
    let held: Uint8Array = new Uint8Array(0);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>({
      transform: async (bytes, controller) => {
        held = concatBytes([held, bytes]);
        while (held.byteLength >= 2 && held.byteLength >= 2 + readUint16(held, 0)) {
          const end = 2 + readUint16(held, 0);
          const answer = await this.answer(held.subarray(2, end));
          if (!answer) throw new Error("the message makes no sense");
          const framed = new Uint8Array(2 + answer.byteLength);
          writeUint16(framed, 0, answer.byteLength);
          framed.set(answer, 2);
          controller.enqueue(framed);
          held = held.slice(end);
        }
      },
    });
    return { readable, writable };
  }

  private async look(query: DnsQuery): Promise<Uint8Array> {
    const { name, type } = query;
    if (name.endsWith(REVERSE_ZONE)) return this.lookBack(query);
    if (name === "localhost" || name.endsWith(".localhost"))
      return makeAnswer(query, type === RECORD.a ? { address: LOOPBACK } : {});
    if (!(await this.exists(name))) return makeAnswer(query, { response: RESPONSE.noSuchName });
    return makeAnswer(query, type === RECORD.a ? { address: this.addressOf(name) } : {});
  }

  private lookBack(query: DnsQuery): Uint8Array {
    const bytes = query.name.slice(0, -REVERSE_ZONE.length).split(".").reverse().map(Number);
    const isAddress = bytes.length === 4 && bytes.every((byte) => byte >= 0 && byte <= 255);
    const address = isAddress ? bytes.reduce((sum, byte) => sum * 256 + byte, 0) : -1;
    const name = this.nameOf(address);
    if (name === undefined) return makeAnswer(query, { response: RESPONSE.noSuchName });
    return makeAnswer(query, query.type === RECORD.ptr ? { name } : {});
  }

  private async exists(name: string): Promise<boolean> {
    if (this.addresses.has(name) || !this.dialer.resolves) return true;
    // Not AbortSignal.timeout, which would stay for its eight seconds after an answer: a guest may ask thousands of times a second.
    const { life, end } = following(this.closing);
    const stopTimer = startTimer(LOOKUP_MS, () => life.abort(new Error("the lookup takes too long")));
    try {
      return await untilAborted(this.dialer.resolves(name, { signal: life.signal }), life.signal);
    } finally {
      stopTimer();
      end();
    }
  }

  private addressOf(name: string): number {
    const known = this.addresses.get(name);
    if (known !== undefined) return known;
    // A guest that has used up all addresses takes those that it was given first.
    const index = this.handedOut++ % MAX_NAMES;
    const block = Math.floor(index / ADDRESSES_OF_BLOCK);
    const address = FIRST_ADDRESS + block * BLOCK_BYTES + 1 + (index % ADDRESSES_OF_BLOCK);
    const former = this.namesByAddress.get(address);
    if (former !== undefined) this.addresses.delete(former);
    this.addresses.set(name, address);
    this.namesByAddress.set(address, name);
    return address;
  }
}
