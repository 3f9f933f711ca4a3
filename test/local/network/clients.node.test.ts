import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttp, type RequestListener } from "node:http";
import { createServer as createHttps } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { type BoxHandle, BoxRunClient } from "boxrun";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeMirror, makeWheel } from "./package-files.js";
import { mirror, World } from "./world.js";

const run = promisify(execFile);
const world = new World();
const client = new BoxRunClient({ backend: "local", local: { persistent: false, dialer: world } });
const folder = mkdtempSync(join(tmpdir(), "boxrun-world-"));
let box: BoxHandle;

/** Servers that answer with the cipher of the connection: as most are, by the client's order; and as Node's are, by their own. */
const SERVERS = [
  { port: 8443, maxVersion: "TLSv1.3", honorCipherOrder: false },
  { port: 8444, maxVersion: "TLSv1.3", honorCipherOrder: true },
  { port: 8445, maxVersion: "TLSv1.2", honorCipherOrder: false },
  { port: 8446, maxVersion: "TLSv1.2", honorCipherOrder: true },
] as const;

beforeAll(async () => {
  await world.add("web.example.com:80", createHttp(mirror));
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem"), "-subj", "/CN=web.example.com"],
    ...["-addext", "subjectAltName=DNS:web.example.com"],
  ]);
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => readFileSync(join(folder, name)));
  await world.add("web.example.com:443", createHttps({ key: key!, cert: cert! }, mirror));
  for (const { port, ...choice } of SERVERS) {
    const tls = createHttps({ key: key!, cert: cert!, ...choice }, ({ socket }, response) => {
      response.end(`${(socket as TLSSocket).getCipher().name}\n`);
    });
    await world.add(`web.example.com:${port}`, tls);
  }
  await world.add("echo.example.com:7", (socket) => void socket.pipe(socket));
  await world.add("reset.example.com:1", (socket) => {
    socket.write("some");
    socket.once("data", () => socket.resetAndDestroy());
  });
  await world.add("first.example.com:1", (socket) => {
    // It ends its side first, and reads on.
    socket.end("bye\n");
    let bytes = 0;
    socket.on("data", (data) => {
      bytes += data.length;
    });
    socket.on("end", () => world.dialed.push({ host: "first ended after", port: bytes }));
  });
  await world.add("drip.example.com:1", async (socket) => {
    for (const letter of "one byte at a time\n") {
      socket.write(letter);
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.end();
  });
  await world.add("mute.example.com:1", () => {});
  world.addSilent("silent.example.com:1");
  box = await client.create("debian", { network: { deny: ["denied.example.com"] } });
  await box.upload(readFileSync(join(folder, "cert.pem")), "/root/ca.pem");
}, 60_000);

afterAll(async () => {
  await client.close();
  await world[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function sh(command: string, timeoutMs = 60_000): Promise<{ out: string; code: number | null }> {
  const { stdout, exitCode } = await box.exec(command, { stderr: "stdout", timeoutMs });
  return { out: stdout, code: exitCode };
}

/** Runs a program, and gives what it prints. */
async function python(program: string): Promise<string> {
  const { stdout, stderr, exitCode } = await box.exec("python3", ["-c", program], { timeoutMs: 60_000 });
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${stderr}`);
  return stdout;
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("a program in a box with a network", () => {
  it("is curl: HTTP, HTTPS that is verified, uploads, several requests on one connection", async () => {
    const empty = sha256(new Uint8Array());
    expect(await sh("curl -sS http://web.example.com/a?b=c")).toEqual({
      out: `GET web.example.com/a?b=c 0 ${empty}\n`,
      code: 0,
    });
    expect((await sh("curl -sS --cacert ca.pem https://web.example.com/")).out).toBe(
      `GET web.example.com/ 0 ${empty}\n`,
    );
    // Without the certificate it does not trust the server.
    expect((await sh("curl -sS https://web.example.com/")).code).toBe(60);
    const bytes = Buffer.alloc(3_000_000, "upload ");
    await box.upload(bytes, "/root/upload");
    expect((await sh("curl -sS -T upload http://web.example.com/up")).out).toBe(
      `PUT web.example.com/up 3000000 ${sha256(bytes)}\n`,
    );
    world.dialed.length = 0;
    const several = "http://web.example.com/[1-5]";
    expect((await sh(`curl -sS ${several}`)).out.split("\n")).toHaveLength(6);
    expect(world.dialed).toEqual([{ host: "web.example.com", port: 80 }]);
  });

  it.each([
    ["curl", "curl -sS --cacert ca.pem https://web.example.com:[8443-8446]/"],
    [
      "Python",
      `python3 -c '
import ssl, urllib.request
context = ssl.create_default_context(cafile="ca.pem")
for port in range(8443, 8447):
    print(urllib.request.urlopen(f"https://web.example.com:{port}/", context=context).read().decode(), end="")'`,
    ],
    [
      "apt",
      `cp ca.pem /tmp; for port in $(seq 8443 8446); do
        /usr/lib/apt/apt-helper -qq -o Acquire::https::CaInfo=/tmp/ca.pem download-file https://web.example.com:$port/ /tmp/$port
        cat /tmp/$port
      done`,
    ],
    [
      "OpenSSL",
      `for port in $(seq 8443 8446); do
        printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -CAfile ca.pem web.example.com:$port 2> /dev/null | tail -n 1
      done`,
    ],
  ])(
    "%s asks for ChaCha20 before AES, and takes what the server insists on",
    async (_program, command) => {
      const { out } = await sh(command, 120_000);
      expect(out.trimEnd().split("\n")).toEqual([
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
      ]);
    },
    150_000,
  );

  it.each([
    ["a name that does not exist", "http://nowhere.example.com/", 6],
    ["a port that nobody listens on", "http://echo.example.com:81/", 7],
    ["a name that is denied", "http://denied.example.com/", 7],
    ["a network that is unreachable", "http://203.0.113.9/", 7],
    ["a server that never answers", "-m 2 http://mute.example.com:1/", 28],
    ["a host that never answers", "-m 2 http://silent.example.com:1/", 28],
    ["a server that resets", "http://reset.example.com:1/", 56],
  ])("gets curl's exit code for %s", async (_what, args, code) => {
    expect((await sh(`curl -sS --http0.9 ${args}`)).code).toBe(code);
  });

  it("gets the errors of sockets in Python, at connect", async () => {
    const names = await python(`
import socket
def attempt(host, port, timeout=10):
    try:
        socket.create_connection((host, port), timeout).close()
        return "connected"
    except Exception as error:
        return type(error).__name__ + " " + str(getattr(error, "errno", ""))
print(attempt("echo.example.com", 7))
print(attempt("echo.example.com", 8))
print(attempt("denied.example.com", 80))
print(attempt("203.0.113.9", 80))
print(attempt("127.0.0.1", 80))
print(attempt("10.0.0.1", 80))
print(attempt("169.254.169.254", 80))
print(attempt("nowhere.example.com", 80).split()[0])
print(attempt("silent.example.com", 1, 0.5))
print(attempt("2001:db8::1", 80))
`);
    expect(names.trim().split("\n")).toEqual([
      "connected",
      "ConnectionRefusedError 111",
      "OSError 113",
      "OSError 101",
      "ConnectionRefusedError 111",
      "OSError 113",
      "OSError 113",
      "gaierror",
      "TimeoutError None",
      "OSError 101",
    ]);
  });

  it("is refused where a redirect leads to the host or its networks, however it writes that", async () => {
    await world.add(
      "redirect.example.com:80",
      createHttp(({ url }, response) => void response.writeHead(302, { location: url!.slice(2) }).end()),
    );
    // A name that means something else the second time it is asked for.
    await world.add("rebind.example.com:80", createHttp(mirror));
    world.addresses.set("rebind.example.com", ["203.0.113.1", "127.0.0.1"]);
    expect((await sh("curl -sS http://rebind.example.com/")).code).toBe(0);
    const outside = [
      ["http://169.254.169.254/latest/meta-data", "169.254.169.254"],
      ["http://[::ffff:169.254.169.254]/", "169.254.169.254"],
      ["http://2852039166/", "169.254.169.254"],
      ["http://0251.0376.0251.0376/", "169.254.169.254"],
      ["http://0xa9fea9fe/", "169.254.169.254"],
      ["http://10.0.0.1/", "10.0.0.1"],
      ["http://rebind.example.com/", "rebind.example.com"],
    ] as const;
    // All of these are the box itself, on which nothing listens.
    const own = ["0.0.0.0", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0177.0.0.1"].map(
      (host) => `http://${host}/`,
    );
    world.dialed.length = 0;
    const urls = [...outside.map(([url]) => url), ...own].map(
      (url) => `'http://redirect.example.com/?${url}'`,
    );
    const before = (await box.network.log()).length;
    const { out } = await sh(
      `for url in ${urls.join(" ")}; do curl -s -g -L -m 10 -o /dev/null -w '%{num_redirects} ' "$url"; echo $?; done`,
    );
    expect(out.trim().split("\n")).toEqual(urls.map(() => "1 7"));
    const log = (await box.network.log()).slice(before).filter(({ verdict }) => verdict === "denied");
    expect(log.map(({ host, rule }) => [host, rule])).toEqual(
      outside.map(([, host]) => [host, "address is not public"]),
    );
    const dialed = new Set(world.dialed.map(({ host }) => host));
    expect(dialed).toEqual(new Set(["redirect.example.com", "rebind.example.com"]));
  });

  it("that reads nothing of servers that send for ever holds up nothing else, and gets it all later", async () => {
    await world.add("endless.example.com:1", (socket) => {
      const piece = Buffer.alloc(2 ** 16, "0123456789abcdef");
      const fill = () => {
        while (!socket.destroyed && socket.write(piece));
      };
      socket.on("drain", fill);
      fill();
    });
    const { external } = process.memoryUsage();
    expect(
      await python(`
import socket
endless = [socket.create_connection(("endless.example.com", 1)) for _ in range(8)]
data = b"x" * 1_000_000
s = socket.create_connection(("echo.example.com", 7))
for at in range(0, len(data), 100_000):
    s.sendall(data[at:at + 100_000])
    assert len(s.recv(100_000, socket.MSG_WAITALL)) == 100_000
print("not held up")
for one in endless:
    assert one.recv(8 << 20, socket.MSG_WAITALL) == b"0123456789abcdef" * (8 << 16)
    one.close()
print("and all there")
`),
    ).toBe("not held up\nand all there\n");
    expect(process.memoryUsage().external - external).toBeLessThan(128 * 2 ** 20);
  });

  it("has a hundred connections at once, with asyncio", async () => {
    expect(
      await python(`
import asyncio
async def ask(i):
    reader, writer = await asyncio.open_connection("echo.example.com", 7)
    writer.write(b"%d" % i)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer == b"%d" % i
async def main():
    print(sum(await asyncio.gather(*[ask(i) for i in range(100)])))
asyncio.run(main())
`),
    ).toBe("100\n");
  });

  it("sends and receives megabytes at once, and every byte is right", async () => {
    expect(
      await python(`
import hashlib, os, socket, threading
data = os.urandom(8_000_000)
s = socket.create_connection(("echo.example.com", 7))
def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = hashlib.sha256()
while part := s.recv(1 << 16): got.update(part)
print(got.digest() == hashlib.sha256(data).digest())
`),
    ).toBe("True\n");
  });

  it("sees a server that ends first, one that resets, and one byte at a time", async () => {
    world.dialed.length = 0;
    expect(
      await python(`
import socket
s = socket.create_connection(("first.example.com", 1))
print(s.recv(100), s.recv(100))
s.sendall(b"still here")
s.close()
s = socket.create_connection(("reset.example.com", 1))
print(s.recv(100))
s.sendall(b"x")
try: print(s.recv(100))
except ConnectionResetError: print("reset")
print(socket.create_connection(("drip.example.com", 1)).makefile().read())
`),
    ).toBe("b'bye\\n' b''\nb'some'\nreset\none byte at a time\n\n");
    expect(world.dialed).toContainEqual({ host: "first ended after", port: 10 });
  });

  it("is pip: a wheel of an index, with its hash", async () => {
    const { name: wheel, bytes } = await makeWheel(folder);
    const index: RequestListener = ({ url }, response) => {
      if (url === `/files/${wheel}`) return response.end(bytes);
      response.setHeader("content-type", "application/vnd.pypi.simple.v1+json");
      const files = [{ filename: wheel, url: `/files/${wheel}`, hashes: { sha256: sha256(bytes) } }];
      response.end(JSON.stringify({ meta: { "api-version": "1.0" }, name: "greet", files }));
    };
    await world.add("index.example.com:80", createHttp(index));
    const options =
      "--index-url http://index.example.com/simple --trusted-host index.example.com --no-cache-dir --no-compile";
    await box.files.write("/root/right.txt", `greet==1.0 --hash=sha256:${sha256(bytes)}\n`);
    const installed = await sh(
      `pip install ${options} --disable-pip-version-check --require-hashes -r right.txt && python3 -c 'import greet'`,
      120_000,
    );
    expect(installed.out).toMatch(/hello from a wheel\n$/);
  }, 150_000);

  it("is apt: a package of a mirror", async () => {
    const files = await makeMirror(folder);
    await world.add(
      "mirror.example.com:80",
      createHttp(({ url }, response) => {
        const found = files[url!.replace("/./", "/")];
        response.statusCode = found === undefined ? 404 : 200;
        response.end(found);
      }),
    );
    await box.files.write(
      "/etc/apt/sources.list.d/test.list",
      "deb [trusted=yes] http://mirror.example.com ./\n",
    );
    const source =
      "-o Dir::Etc::SourceList=/etc/apt/sources.list.d/test.list -o Dir::Etc::SourceParts=/dev/null";
    const { out } = await sh(
      `apt-get ${source} update && apt-get ${source} install -y hello-boxrun && hello-boxrun`,
      120_000,
    );
    expect(out).toMatch(/hello from a package\n$/);
  }, 150_000);

  it("loses its connections when rules no longer allow them, and gets them back with the rules", async () => {
    const program = `
import socket
s = socket.create_connection(("mute.example.com", 1))
print("connected", flush=True)
try: s.recv(1)
except ConnectionResetError: print("reset")
`;
    const begun = box.spawn("python3", ["-c", program]);
    let output = "";
    for await (const event of begun) {
      if (event.type !== "log") continue;
      output += event.data;
      if (output === "connected\n") await box.network.update({ deny: ["mute.example.com"] });
    }
    expect(output).toBe("connected\nreset\n");
    const [last] = (await box.network.log()).slice(-1);
    expect(last).toMatchObject({ host: "mute.example.com", rule: expect.stringContaining("deny[0]") });
    await box.network.update({ allow: [] });
    expect((await sh("curl -sS http://web.example.com/")).code).not.toBe(0);
    await box.network.update(true);
    expect((await sh("curl -sS http://web.example.com/")).code).toBe(0);
  });

  it("lists each connection that was denied, with the rule", async () => {
    await sh("curl -s -m 5 http://10.1.1.1/; curl -s -m 5 http://web.example.com:25/");
    const denied = (await box.network.log()).filter(({ verdict }) => verdict === "denied").slice(-2);
    expect(denied).toMatchObject([
      { host: "10.1.1.1", port: 80, rule: "address is not public" },
      { host: "web.example.com", port: 25, rule: "port 25" },
    ]);
  });
});
