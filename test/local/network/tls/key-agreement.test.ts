import { createECDH, createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { GROUPS } from "../../../../src/local/network/tls/client-hello.js";
import { agree } from "../../../../src/local/network/tls/key-agreement.js";

const [X25519, P256] = GROUPS;
/** What comes before the 32 bytes of a public key of X25519 in SPKI. */
const SPKI = Buffer.from("302a300506032b656e032100", "hex");
const point = () => createECDH("prime256v1").generateKeys();

describe("an agreement on a secret", () => {
  it("by X25519 is the one that OpenSSL comes to", async () => {
    for (let i = 0; i < 20; i++) {
      const theirs = generateKeyPairSync("x25519");
      const spki = theirs.publicKey.export({ format: "der", type: "spki" });
      const { share, secret } = await agree(X25519, spki.subarray(SPKI.byteLength));
      const key = Buffer.concat([SPKI, share]);
      const publicKey = createPublicKey({ key, format: "der", type: "spki" });
      expect(diffieHellman({ privateKey: theirs.privateKey, publicKey })).toEqual(Buffer.from(secret));
    }
  });

  it("by P-256 is the one that OpenSSL comes to", async () => {
    for (let i = 0; i < 20; i++) {
      const theirs = createECDH("prime256v1");
      const { share, secret } = await agree(P256, theirs.generateKeys());
      expect(theirs.computeSecret(share)).toEqual(Buffer.from(secret));
    }
  });

  it.each([
    ["a point of X25519 that gives no secret", X25519, Buffer.alloc(32)],
    ["a share of X25519 that is too short", X25519, Buffer.alloc(31, 9)],
    ["a point that is not on the curve", P256, Buffer.alloc(65, 4)],
    ["a point that is compressed", P256, Buffer.concat([Buffer.of(2), point().subarray(1, 33)])],
    ["no bytes", P256, Buffer.alloc(0)],
  ] as const)("is refused for %s", async (_what, group, share) => {
    await expect(agree(group, share)).rejects.toThrow("the client's key share is invalid");
  });
});
