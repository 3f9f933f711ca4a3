/** Keys of a connection, and what is encrypted with them. Source: RFC 8446, 5.2 and 7. */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes } from "../../../util/bytes.js";
import { ALERT, ascii, number, TlsError, vector } from "./wire.js";

const HASH_BYTES = 32;
const NONCE_BYTES = 12;
const ZEROS = new Uint8Array(HASH_BYTES);

/** Cipher suites, the preferred first: a guest has no instructions for AES, and ChaCha20 is four times as fast in it. */
export const SUITES = [
  { id: 0x1303, keyBytes: 32, isAes: false },
  { id: 0x1301, keyBytes: 16, isAes: true },
] as const;
export type Suite = (typeof SUITES)[number];

/** The secret of one direction. */
export type TrafficSecret = Uint8Array;

export function hash(...messages: Uint8Array[]): Uint8Array {
  return sha256(concatBytes(messages));
}

/** The secrets of a handshake, in the order in which they come to be. */
export class KeySchedule {
  private secret: Uint8Array;

  /** Takes the secret that both sides have agreed on. */
  constructor(shared: Uint8Array) {
    const early = extract(sha256, ZEROS, ZEROS);
    this.secret = extract(sha256, shared, derive(early, "derived", hash()));
  }

  /** Goes on from the secrets of the handshake to those of the data. */
  enterData(): void {
    this.secret = extract(sha256, ZEROS, derive(this.secret, "derived", hash()));
  }

  /** Returns the secret of a direction: "hs" during the handshake, "ap" afterwards. */
  traffic(side: "c" | "s", phase: "hs" | "ap", transcript: Uint8Array): TrafficSecret {
    return derive(this.secret, `${side} ${phase} traffic`, transcript);
  }
}

/** Returns what a "finished" message has to hold. */
export function finishedOf(secret: TrafficSecret, transcript: Uint8Array): Uint8Array {
  return hmac(sha256, expandLabel(secret, "finished", new Uint8Array(0), HASH_BYTES), transcript);
}

/** Returns the secret that follows one after a key update. */
export function nextSecret(secret: TrafficSecret): TrafficSecret {
  return expandLabel(secret, "traffic upd", new Uint8Array(0), HASH_BYTES);
}

/** Encrypts or decrypts the records of one direction. */
export class RecordKey {
  private records = 0;
  private readonly key: Uint8Array<ArrayBuffer>;
  private readonly iv: Uint8Array;
  private imported: Promise<CryptoKey> | undefined;

  constructor(
    private readonly suite: Suite,
    secret: TrafficSecret,
  ) {
    this.key = expandLabel(secret, "key", new Uint8Array(0), suite.keyBytes) as Uint8Array<ArrayBuffer>;
    this.iv = expandLabel(secret, "iv", new Uint8Array(0), NONCE_BYTES);
  }

  async seal(header: Uint8Array, plain: Uint8Array): Promise<Uint8Array> {
    const nonce = this.nonce();
    if (!this.suite.isAes) return chacha20poly1305(this.key, nonce, header).encrypt(plain);
    const parameters = { name: "AES-GCM", iv: nonce, additionalData: header as Uint8Array<ArrayBuffer> };
    const sealed = crypto.subtle.encrypt(parameters, await this.aesKey(), plain as Uint8Array<ArrayBuffer>);
    return new Uint8Array(await sealed);
  }

  /** @throws {TlsError} when the record was not sealed with this key */
  async open(header: Uint8Array, sealed: Uint8Array): Promise<Uint8Array> {
    const nonce = this.nonce();
    try {
      if (!this.suite.isAes) return chacha20poly1305(this.key, nonce, header).decrypt(sealed);
      const parameters = { name: "AES-GCM", iv: nonce, additionalData: header as Uint8Array<ArrayBuffer> };
      const plain = crypto.subtle.decrypt(parameters, await this.aesKey(), sealed as Uint8Array<ArrayBuffer>);
      return new Uint8Array(await plain);
    } catch {
      throw new TlsError(ALERT.badRecordMac, "a record cannot be decrypted");
    }
  }

  private nonce(): Uint8Array<ArrayBuffer> {
    const nonce = this.iv.slice() as Uint8Array<ArrayBuffer>;
    let count = this.records++;
    for (let at = NONCE_BYTES - 1; count > 0; at--) {
      nonce[at]! ^= count & 255;
      count = Math.floor(count / 256);
    }
    return nonce;
  }

  private aesKey(): Promise<CryptoKey> {
    this.imported ??= crypto.subtle.importKey("raw", this.key, "AES-GCM", false, ["encrypt", "decrypt"]);
    return this.imported;
  }
}

function derive(secret: Uint8Array, label: string, transcript: Uint8Array): Uint8Array {
  return expandLabel(secret, label, transcript, HASH_BYTES);
}

function expandLabel(secret: Uint8Array, label: string, context: Uint8Array, bytes: number): Uint8Array {
  const info = concatBytes([number(2, bytes), vector(1, ascii(`tls13 ${label}`)), vector(1, context)]);
  return expand(sha256, secret, info, bytes);
}
