/** Fields of TLS, as they are on the wire. Source: RFC 8446, 3. */
import { LoggedError } from "../../../network/dialer.js";
import { concatBytes } from "../../../util/bytes.js";

/** Protocols that requests with secrets are sent in, by their names in TLS (RFC 7301). The program and the server both get these. */
export const PROTOCOLS = ["http/1.1"];

/** Alerts, by which a side says why it ends. */
export const ALERT = {
  closeNotify: 0,
  unexpectedMessage: 10,
  badRecordMac: 20,
  recordOverflow: 22,
  handshakeFailure: 40,
  illegalParameter: 47,
  decodeError: 50,
  decryptError: 51,
  protocolVersion: 70,
  internalError: 80,
  missingExtension: 109,
  unrecognizedName: 112,
  noApplicationProtocol: 120,
} as const;

/** A failure that the program in the box is told of by an alert. */
export class TlsError extends LoggedError {
  override name = "TlsError";

  constructor(
    readonly alert: number,
    message: string,
  ) {
    super("ECONNRESET", "refused", `TLS: ${message}`);
  }
}

/** Reads fields one after the other. Throws a {@link TlsError} where there are fewer bytes than a field has. */
export class Cursor {
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get isAtEnd(): boolean {
    return this.at === this.bytes.byteLength;
  }

  /** Reads a number of so many bytes. */
  number(size: 1 | 2 | 3): number {
    return this.take(size).reduce((value, byte) => value * 256 + byte, 0);
  }

  take(count: number): Uint8Array {
    if (this.at + count > this.bytes.byteLength) throw new TlsError(ALERT.decodeError, "a message is cut");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  /** Reads bytes behind their number, which has `size` bytes itself. */
  vector(size: 1 | 2 | 3): Uint8Array {
    return this.take(this.number(size));
  }
}

/** Writes a number into so many bytes. */
export function number(size: 1 | 2 | 3, value: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => value >>> (8 * (size - 1 - i)));
}

/** Writes bytes behind their number, which has `size` bytes itself. */
export function vector(size: 1 | 2 | 3, ...parts: Uint8Array[]): Uint8Array {
  const bytes = concatBytes(parts);
  return concatBytes([number(size, bytes.byteLength), bytes]);
}

export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
