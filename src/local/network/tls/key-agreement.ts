/** Agreement with a client on a secret. Source: RFC 7748, 5 and 6.1; RFC 8446, 4.2.8.2 and 7.4.2. */
import { montgomery } from "@noble/curves/abstract/montgomery.js";
import { GROUPS, type Group } from "./client-hello.js";
import { ALERT, TlsError } from "./wire.js";

const P = 2n ** 255n - 19n;
/** The curve of X25519, which not all WebCryptos have. Noble's own `x25519` brings other curves along, which are three times as large. */
const x25519 = montgomery({
  P,
  type: "x25519",
  powPminus2: (x) => power(x, P - 2n),
  adjustScalarBytes: (bytes: Uint8Array<ArrayBuffer>) => {
    bytes[0]! &= 248;
    bytes[31]! &= 127;
    bytes[31]! |= 64;
    return bytes;
  },
});
const P256 = { name: "ECDH", namedCurve: "P-256" } as const;
const P256_SECRET_BITS = 256;
/** A point that is not compressed: TLS 1.3 has no others. */
const P256_POINT = { bytes: 65, first: 4 } as const;

/** Share of this side, and the secret that it makes with the client's. */
export interface Agreement {
  readonly share: Uint8Array;
  readonly secret: Uint8Array;
}

/** Agrees on a secret with a client's share. Rejects with a TlsError when the share is invalid. */
export async function agree(group: Group, theirs: Uint8Array): Promise<Agreement> {
  try {
    return group === GROUPS[0] ? agreeOnX25519(theirs) : await agreeOnP256(theirs);
  } catch {
    throw new TlsError(ALERT.illegalParameter, "the client's key share is invalid");
  }
}

function agreeOnX25519(theirs: Uint8Array): Agreement {
  const { secretKey, publicKey } = x25519.keygen();
  return { share: publicKey, secret: x25519.getSharedSecret(secretKey, theirs) };
}

async function agreeOnP256(theirs: Uint8Array): Promise<Agreement> {
  if (theirs.byteLength !== P256_POINT.bytes || theirs[0] !== P256_POINT.first)
    throw new Error("not a point");
  const { subtle } = crypto;
  const peer = await subtle.importKey("raw", theirs as Uint8Array<ArrayBuffer>, P256, false, []);
  const { privateKey, publicKey } = await subtle.generateKey(P256, false, ["deriveBits"]);
  const secret = await subtle.deriveBits({ ...P256, public: peer }, privateKey, P256_SECRET_BITS);
  const share = await subtle.exportKey("raw", publicKey);
  return { share: new Uint8Array(share), secret: new Uint8Array(secret) };
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}
