/**
 * Certificates for the names that a box may see the host answer for. Strict verifiers, such as Python's, want the extensions that RFC 5280 asks for. Source: RFC 5280.
 */
import { toBase64 } from "../../../util/base64.js";
import * as der from "./der.js";

const OID = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;
const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;
const DIGITAL_SIGNATURE = der.bitString(Uint8Array.of(0x80), 7);
const SIGN_CERTIFICATES = der.bitString(Uint8Array.of(0x04), 2);
const VERSION_3 = der.tagged(0, true, der.integer(Uint8Array.of(2)));
const DNS_NAME = 2;
const DAY_MS = 86_400_000;
/** Some clients refuse certificates that are valid for longer than 398 days. */
const VALID_DAYS = 365;
const MAX_CERTIFICATES = 256;

/** A certificate, with the key that belongs to it. */
export interface Certificate {
  /** In DER: the certificate, and those that vouch for it. */
  readonly chain: readonly Uint8Array[];
  /** Signs by ECDSA with SHA-256. Resolves to the signature in DER. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** Vouches for certificates of servers, to those who trust its own. Its key never leaves this process. */
export class CertificateAuthority {
  private readonly made = new Map<string, Promise<Certificate>>();

  private constructor(
    /** Its own certificate, in DER. */
    readonly certificate: Uint8Array,
    private readonly name: der.Der,
    private readonly keys: CryptoKeyPair,
    private readonly keyId: Uint8Array,
  ) {}

  /** Creates one with a new key. `commonName` is shown to people who look. */
  static async create(commonName: string): Promise<CertificateAuthority> {
    const name = nameOf(commonName);
    const keys = await newKeys();
    const publicKey = await spki(keys);
    const keyId = await keyIdOf(publicKey);
    const extensions = [
      critical(OID.basicConstraints, der.sequence(der.boolean(true))),
      critical(OID.keyUsage, SIGN_CERTIFICATES),
      extension(OID.subjectKeyId, der.octetString(keyId)),
    ];
    const certificate = await issue({
      issuer: name,
      subject: name,
      publicKey,
      extensions,
      key: keys.privateKey,
    });
    return new CertificateAuthority(certificate, name, keys, keyId);
  }

  /** Its own certificate, as text. */
  get pem(): string {
    const lines = toBase64(this.certificate)
      .match(/.{1,64}/g)!
      .join("\n");
    return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
  }

  /** Returns the certificate of a server: the same one each time, as long as it is kept. */
  certify(serverName: string): Promise<Certificate> {
    const known = this.made.get(serverName);
    if (known) return known;
    const [oldest] = this.made.keys();
    if (this.made.size >= MAX_CERTIFICATES) this.made.delete(oldest!);
    const certificate = this.make(serverName);
    this.made.set(serverName, certificate);
    return certificate;
  }

  /** Returns what certifies a server to which a connection leads, and rejects for any other name. */
  certifier(host: string): (serverName: string) => Promise<Certificate> {
    return async (name) => {
      if (name !== host) throw new Error(`the connection is to ${host}`);
      return this.certify(name);
    };
  }

  private async make(serverName: string): Promise<Certificate> {
    const keys = await newKeys();
    const publicKey = await spki(keys);
    const dnsName = der.tagged(DNS_NAME, false, new TextEncoder().encode(serverName));
    const certificate = await issue({
      issuer: this.name,
      subject: nameOf("BoxRun"),
      publicKey,
      extensions: [
        extension(OID.basicConstraints, der.sequence()),
        critical(OID.keyUsage, DIGITAL_SIGNATURE),
        extension(OID.extendedKeyUsage, der.sequence(der.objectId(OID.serverAuth))),
        extension(OID.subjectAltName, der.sequence(dnsName)),
        extension(OID.subjectKeyId, der.octetString(await keyIdOf(publicKey))),
        extension(OID.authorityKeyId, der.sequence(der.tagged(0, false, this.keyId))),
      ],
      key: this.keys.privateKey,
    });
    return { chain: [certificate], sign: (bytes) => sign(keys.privateKey, bytes) };
  }
}

interface Issue {
  issuer: der.Der;
  subject: der.Der;
  publicKey: Uint8Array;
  extensions: der.Der[];
  key: CryptoKey;
}

async function issue({ issuer, subject, publicKey, extensions, key }: Issue): Promise<Uint8Array> {
  const now = Date.now();
  const algorithm = der.sequence(der.objectId(OID.ecdsaWithSha256));
  const serial = crypto.getRandomValues(new Uint8Array(16));
  serial[0]! &= 0x7f;
  // A day ago, for boxes whose clock is behind.
  const validity = der.sequence(
    der.time(new Date(now - DAY_MS)),
    der.time(new Date(now + VALID_DAYS * DAY_MS)),
  );
  const body = der.sequence(
    VERSION_3,
    der.integer(serial),
    algorithm,
    issuer,
    validity,
    subject,
    publicKey,
    der.tagged(3, true, der.sequence(...extensions)),
  );
  return der.sequence(body, algorithm, der.bitString(await sign(key, body)));
}

async function sign(key: CryptoKey, bytes: Uint8Array): Promise<Uint8Array> {
  const raw = new Uint8Array(await crypto.subtle.sign(SIGNING, key, bytes as Uint8Array<ArrayBuffer>));
  return der.sequence(der.integer(raw.subarray(0, 32)), der.integer(raw.subarray(32)));
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);
}

async function spki({ publicKey }: CryptoKeyPair): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
}

/** Returns the id of a key: any that is its own. Of its hash, the first 20 bytes (RFC 7093). */
async function keyIdOf(publicKey: Uint8Array): Promise<Uint8Array> {
  const digest = await crypto.subtle.digest("SHA-256", publicKey as Uint8Array<ArrayBuffer>);
  return new Uint8Array(digest, 0, 20);
}

function nameOf(commonName: string): der.Der {
  return der.sequence(der.set(der.sequence(der.objectId(OID.commonName), der.utf8(commonName))));
}

function extension(id: string, contents: der.Der): der.Der {
  return der.sequence(der.objectId(id), der.octetString(contents));
}

function critical(id: string, contents: der.Der): der.Der {
  return der.sequence(der.objectId(id), der.boolean(true), der.octetString(contents));
}
