import { execFile, spawn } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CertificateAuthority } from "../../../../src/local/network/tls/certificate.js";
import { acceptTls, type TlsConnection } from "../../../../src/local/network/tls/server.js";
import { deferred } from "../../../../src/util/deferred.js";
import { random } from "../guest-socket.js";
import { streamsOf } from "../socket-streams.js";

const run = promisify(execFile);
const NAME = "api.example.com";
const HELLO = "hello from the box's host\n";

let authority: CertificateAuthority;
let server: Server;
let folder: string;
let caFile: string;
/** Serves each connection whose hands are shaken. */
let serve: (connection: TlsConnection) => Promise<void>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-tls-"));
  authority = await CertificateAuthority.create("BoxRun box test");
  caFile = join(folder, "ca.pem");
  writeFileSync(caFile, authority.pem);
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    acceptTls(streamsOf(socket), {
      certify: async (name) => {
        if (!name.endsWith(".example.com")) throw new Error("not ours");
        return authority.certify(name);
      },
      protocols: ["http/1.1"],
    }).then(
      (connection) => serve(connection).catch(() => {}),
      () => {},
    );
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const port = () => (server.address() as AddressInfo).port;

/** Sends everything back. */
const echo = ({ readable, writable }: TlsConnection) => readable.pipeTo(writable);

async function client(options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    port: port(),
    host: "127.0.0.1",
    servername: NAME,
    ca: authority.pem,
    ...options,
  });
  await once(socket, "secureConnect");
  return socket;
}

async function readAll(socket: TLSSocket | Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

describe("the TLS server of a box", () => {
  it.each([
    ["ChaCha20 before AES", {}, "TLS_CHACHA20_POLY1305_SHA256", "X25519"],
    [
      "AES where there is no ChaCha20",
      { ciphers: "TLS_AES_128_GCM_SHA256" },
      "TLS_AES_128_GCM_SHA256",
      "X25519",
    ],
    ["P-256 where there is no X25519", { ecdhCurve: "P-256" }, "TLS_CHACHA20_POLY1305_SHA256", "prime256v1"],
    ["P-256 on a second try", { ecdhCurve: "P-384:P-256" }, "TLS_CHACHA20_POLY1305_SHA256", "prime256v1"],
  ] as const)("speaks to OpenSSL: %s", async (_what, options, suite, group) => {
    serve = echo;
    const socket = await client(options);
    expect(socket.authorized).toBe(true);
    expect(socket.getCipher()).toMatchObject({ standardName: suite, version: "TLSv1.3" });
    expect(JSON.stringify(socket.getEphemeralKeyInfo())).toContain(group);
    socket.end("echo me");
    expect(String(await readAll(socket))).toBe("echo me");
  });

  it("tells the name and the protocol that the client asked for", async () => {
    let seen: object | undefined;
    serve = async ({ serverName, protocol, writable }) => {
      seen = { serverName, protocol };
      await writable.close();
    };
    const socket = await client({ servername: "Other.Example.COM", ALPNProtocols: ["h2", "http/1.1"] });
    expect(socket.alpnProtocol).toBe("http/1.1");
    await readAll(socket);
    expect(seen).toEqual({ serverName: "other.example.com", protocol: "http/1.1" });
  });

  it.each([
    ["a name that is not ours", { servername: "example.net", checkServerIdentity: () => undefined }],
    ["no name", { servername: "" }],
    ["TLS 1.2", { maxVersion: "TLSv1.2" }],
    ["AES-256 alone", { ciphers: "TLS_AES_256_GCM_SHA384", minVersion: "TLSv1.3" }],
    ["another protocol alone", { ALPNProtocols: ["h2"] }],
    ["another curve alone", { ecdhCurve: "P-384" }],
    ["a client that does not trust it", { ca: [] }],
  ] as const)("refuses %s, and the client learns it by an alert", async (what, options) => {
    serve = echo;
    const error = await client(options as ConnectionOptions).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(Error);
    if (!what.includes("trust")) expect(String(error.code ?? error)).toMatch(/ALERT|UNRECOGNIZED|PROTOCOL/i);
  });

  it.each(["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"])(
    "carries 8 MB each way at once with %s",
    async (ciphers) => {
      const bytes = Buffer.alloc(8 * 2 ** 20, "some bytes that are not all the same\n");
      serve = echo;
      const socket = await client({ ciphers, minVersion: "TLSv1.3" });
      const [answer] = await Promise.all([readAll(socket), socket.end(bytes)]);
      expect(createHash("sha256").update(answer).digest("hex")).toBe(
        createHash("sha256").update(bytes).digest("hex"),
      );
    },
  );

  it("ends each direction by itself", async () => {
    serve = async ({ readable, writable }) => {
      const writer = writable.getWriter();
      await writer.write(Buffer.from(HELLO));
      let got = 0;
      for await (const part of readable) got += part.byteLength;
      await writer.write(Buffer.from(`${got}`));
      await writer.close();
    };
    const socket = await client({ allowHalfOpen: true } as ConnectionOptions);
    const answer = readAll(socket);
    socket.write("12345");
    socket.end("67");
    expect(String(await answer)).toBe(`${HELLO}7`);
  });

  it("changes keys when the client does, as OpenSSL's s_client", async () => {
    serve = echo;
    const openssl = spawn("openssl", [
      "s_client",
      "-connect",
      `127.0.0.1:${port()}`,
      "-servername",
      NAME,
      "-CAfile",
      caFile,
      "-verify_return_error",
    ]);
    let output = "";
    let changed = () => {};
    for (const stream of [openssl.stdout, openssl.stderr])
      stream.on("data", (data) => {
        output += data;
        changed();
      });
    const until = async (text: string) => {
      while (!output.includes(text))
        await new Promise<void>((resolve) => {
          changed = resolve;
        });
    };
    await until("Verify return code: 0 (ok)");
    openssl.stdin.write("first\n");
    await until("first");
    // K asks for the other side's new key as well, k changes its own alone.
    for (const [command, text] of [
      ["K", "second"],
      ["k", "third"],
      ["K", "fourth"],
    ]) {
      openssl.stdin.write(`${command}\n`);
      await until(`KEYUPDATE\n`);
      output = output.replace("KEYUPDATE", "");
      openssl.stdin.write(`${text}\n`);
      await until(`${text}\n`);
    }
    openssl.stdin.write("Q\n");
    await once(openssl, "exit");
  });

  it("has certificates that strict verifiers take: OpenSSL, curl and Python", async () => {
    const chain = await authority.certify(NAME);
    const leaf = new X509Certificate(chain.chain[0]!);
    const root = new X509Certificate(authority.pem);
    expect(leaf.verify(root.publicKey)).toBe(true);
    expect([leaf.checkHost(NAME), leaf.checkHost("example.com"), root.ca]).toEqual([NAME, undefined, true]);
    const leafFile = join(folder, "leaf.pem");
    writeFileSync(leafFile, leaf.toString());
    const verify = [
      "verify",
      "-x509_strict",
      "-purpose",
      "sslserver",
      "-verify_hostname",
      NAME,
      "-CAfile",
      caFile,
    ];
    expect((await run("openssl", [...verify, leafFile])).stdout).toBe(`${leafFile}: OK\n`);

    serve = async ({ readable, writable }) => {
      await readable.getReader().read();
      const writer = writable.getWriter();
      await writer.write(Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${HELLO.length}\r\n\r\n${HELLO}`));
      await writer.close();
    };
    const address = `${NAME}:443:127.0.0.1:${port()}`;
    const curl = await run("curl", ["-sS", "--cacert", caFile, "--connect-to", address, `https://${NAME}/`]);
    expect(curl.stdout).toBe(HELLO);
    const script = `
import socket, ssl
context = ssl.create_default_context(cafile=${JSON.stringify(caFile)})
context.verify_flags |= ssl.VERIFY_X509_STRICT
with context.wrap_socket(socket.create_connection(("127.0.0.1", ${port()})), server_hostname="${NAME}") as s:
    s.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
    print(s.recv(1000).decode().splitlines()[-1])
`;
    expect((await run("python3", ["-c", script])).stdout).toBe(HELLO);
  });

  it("is cut when the client is cut, without a word of the end", async () => {
    const begun = deferred();
    const ended = deferred<unknown>();
    serve = async ({ readable }) => {
      const reader = readable.getReader();
      await reader.read();
      begun.resolve();
      ended.resolve(await reader.read().catch((error) => error));
    };
    const socket = await client();
    socket.write("x");
    await begun.promise;
    socket.destroy();
    expect(await ended.promise).toBeInstanceOf(Error);
  });

  it.each([1, 2, 3])("takes any bytes for a hello, seed %i, and ends", async (seed) => {
    const chance = random(seed);
    const recorded = await recordHello();
    for (let i = 0; i < 150; i++) {
      const bytes = Buffer.from(recorded);
      for (let n = Math.floor(chance() * 6); n >= 0; n--)
        bytes[Math.floor(chance() * bytes.byteLength)] = Math.floor(chance() * 256);
      const { readable, writable, over } = replay(
        bytes.subarray(0, chance() < 0.2 ? chance() * bytes.length : undefined),
      );
      const accepted = acceptTls(
        { readable, writable },
        { certify: (name) => authority.certify(name), protocols: ["http/1.1"] },
      );
      expect(await accepted.catch((error) => error)).toBeInstanceOf(Error);
      await over;
    }
  });
});

/** The bytes of OpenSSL's first message. */
async function recordHello(): Promise<Buffer> {
  const listener = createServer();
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const socket = connect({
    port: (listener.address() as AddressInfo).port,
    host: "127.0.0.1",
    servername: NAME,
  });
  socket.on("error", () => {});
  const [peer] = (await once(listener, "connection")) as [Socket];
  const [hello] = (await once(peer, "data")) as [Buffer];
  socket.destroy();
  peer.destroy();
  listener.close();
  return hello;
}

/** A client that sends these bytes, and no more. `over` resolves when its connection has ended. */
function replay(bytes: Uint8Array) {
  let end!: () => void;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  const readable = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(bytes);
      controller.close();
    },
  });
  const writable = new WritableStream<Uint8Array>({ close: end, abort: end });
  return { readable, writable, over };
}
