import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as createHttp, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { SecretDialer } from "../../../../src/local/network/secrets/secret-dialer.js";
import { SecretGateway } from "../../../../src/local/network/secrets/secret-gateway.js";
import type { CertificateAuthority } from "../../../../src/local/network/tls/certificate.js";
import { type ByteConnection, DialError, type DialTarget } from "../../../../src/network/dialer.js";
import { deferred } from "../../../../src/util/deferred.js";
import { type Front, openFront } from "../front.js";
import { streamsOf } from "../socket-streams.js";

const NAME = "api.example.com";
const VALUE = "sk-the-real-value";

interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

let authority: CertificateAuthority;
let backend: Server;
let front: Front;
let dialer: SecretDialer;
let dialed: DialTarget[];
/** Names of the servers that connections are encrypted to. */
let encrypted: string[];
/** Failure of the next handshake with a server. */
let fault: Error | undefined;
let seen: Seen[];
let gateway: SecretGateway;
/** Placeholders of the secrets of {@link NAME} and of other hosts. */
let key: string;
let other: string;

beforeAll(async () => {
  gateway = await SecretGateway.open({
    API_KEY: { value: VALUE, hosts: [NAME, "down.example.com"] },
    OTHER_KEY: { value: "another value", hosts: ["other.example.com", "*.wild.example.com"] },
  });
  ({ API_KEY: key, OTHER_KEY: other } = gateway.env as { API_KEY: string; OTHER_KEY: string });
  ({ authority } = gateway);

  backend = createHttp(async (request, response) => {
    // Its answer is under way until its client leaves.
    if (request.url === "/slow") response.write("half");
    if (request.url === "/slow" || request.url === "/silent") return;
    let body = "";
    try {
      for await (const part of request) body += part;
    } catch {
      // A request whose body is refused is cut.
      return;
    }
    const { method, url, headers } = request;
    seen.push({ method: method!, url: url!, headers, body });
    response.end(`you said ${headers.authorization}\n`);
  });
  const sockets = new WebSocketServer({ server: backend });
  sockets.on("connection", (socket, request) => {
    socket.on("message", (data) => socket.send(`${request.headers["x-key"]} ${data}`));
  });
  await once(backend.listen(0, "127.0.0.1"), "listening");

  const open = async (target: DialTarget) => {
    dialed.push(target);
    if (target.host === "down.example.com") throw new DialError("ECONNREFUSED", "refused");
    const socket = connect({ port: (backend.address() as AddressInfo).port, allowHalfOpen: true });
    await once(socket, "connect");
    return streamsOf(socket);
  };
  const encrypt = async (connection: ByteConnection, name: string) => {
    encrypted.push(name);
    if (fault) throw fault;
    return connection;
  };
  dialer = new SecretDialer({ connect: open }, encrypt, gateway);
  front = await openFront(NAME, authority.pem, () => dialer);
});

afterAll(() => {
  backend.closeAllConnections();
  backend.close();
  front.close();
});

beforeEach(() => {
  dialed = [];
  encrypted = [];
  fault = undefined;
  seen = [];
});

const curl = (...args: string[]) => front.curl(...args);

/** Sends bytes as they are, and gives what comes back. */
async function raw(text: string): Promise<string> {
  const socket = connectTls({ port: front.port, host: "127.0.0.1", servername: NAME, ca: authority.pem });
  await once(socket, "secureConnect");
  socket.write(text, "latin1");
  let answer = "";
  for await (const part of socket) {
    answer += part;
    if (/^HTTP\/1.1 (?:4\d\d|200)/.test(answer)) break;
  }
  return answer;
}

describe("a secret", () => {
  it("takes its placeholder's place in the headers of a request to its host", async () => {
    const { stdout } = await curl(`https://${NAME}/v1?a=b`, "-H", `Authorization: Bearer ${key}`);
    expect(stdout).toBe(`you said Bearer ${VALUE}\n`);
    expect(dialed).toEqual([{ host: NAME, port: 443 }]);
    expect(encrypted).toEqual([NAME]);
    expect(seen[0]).toMatchObject({ method: "GET", url: "/v1?a=b" });
    expect(seen[0]!.headers.host).toBe(NAME);
  });

  it("takes it in a password of Basic, too, and in several headers", async () => {
    await curl(`https://${NAME}/`, "-u", `me:${key}`, "-H", `x-key: a ${key} b`);
    expect(seen[0]!.headers.authorization).toBe(`Basic ${btoa(`me:${VALUE}`)}`);
    expect(seen[0]!.headers["x-key"]).toBe(`a ${VALUE} b`);
  });

  it("is put nowhere else: not into the path, not into a body, and no other host's secret at all", async () => {
    await curl(`https://${NAME}/${key}`, "-d", `key=${key}`, "-H", `x-key: ${other}`);
    expect(seen[0]).toMatchObject({ url: `/${key}`, body: `key=${key}` });
    expect(seen[0]!.headers["x-key"]).toBe(other);
  });

  it("is put into each request of a connection, whatever bodies are between them", async () => {
    const url = `https://${NAME}/`;
    const header = ["-H", `x-key: ${key}`];
    const upload = join(front.folder, "upload");
    writeFileSync(upload, "b".repeat(300_000));
    await curl(
      url,
      ...header,
      "-d",
      "a".repeat(100_000),
      "-H",
      "Expect:",
      "--next",
      ...front.args,
      url,
      ...header,
      "-T",
      upload,
      "-H",
      "Transfer-Encoding: chunked",
      "--next",
      ...front.args,
      url,
      ...header,
    );
    expect(seen.map(({ method, body, headers }) => [method, body.length, headers["x-key"]])).toEqual([
      ["POST", 100_000, VALUE],
      ["PUT", 300_000, VALUE],
      ["GET", 0, VALUE],
    ]);
    expect(dialed).toHaveLength(1);
  });

  it("reaches a WebSocket by its handshake", async () => {
    const socket = new WebSocket(`wss://${NAME}:${front.port}/`, {
      ca: authority.pem,
      headers: { host: NAME, "x-key": key },
      servername: NAME,
      lookup: (_name: string, _options: unknown, done: (error: null, address: object[]) => void) =>
        done(null, [{ address: "127.0.0.1", family: 4 }]),
    } as never);
    await once(socket, "open");
    socket.send(key);
    const [answer] = await once(socket, "message");
    expect(String(answer)).toBe(`${VALUE} ${key}`);
    socket.close();
    await once(socket, "close");
  });

  it("is refused to another Host and another server name on the same connection", async () => {
    const header = ["-H", `x-key: ${key}`];
    const { stdout } = await curl(`https://${NAME}/`, ...header, "-H", "Host: evil.example.com");
    expect(stdout).toMatch(`the host "evil.example.com", and this connection is for ${NAME} alone`);
    const to = `evil.example.com:443:127.0.0.1:${front.port}`;
    expect((await curl("https://evil.example.com/", ...header, "--connect-to", to)).code).toBe(35);
    expect(seen).toEqual([]);
  });

  it("leaves other hosts and other ports alone", async () => {
    const signal = new AbortController().signal;
    for (const target of [
      { host: "elsewhere.example.com", port: 443 },
      { host: NAME, port: 80 },
      { host: "wild.example.com", port: 443 },
      { host: `${NAME}.evil.com`, port: 443 },
      { host: "apixexample.com", port: 443 },
    ])
      await (await dialer.connect(target, { signal })).readable.cancel();
    expect(dialed).toHaveLength(5);
    expect(encrypted).toEqual([]);
    expect(gateway.rewriter("a.b.wild.example.com")).toBeTypeOf("function");
  });

  it("tells at connect that its host refuses", async () => {
    const next = { connect: () => Promise.reject(new DialError("ECONNREFUSED", "refused")) };
    const encrypt = () => Promise.reject(new Error("not here"));
    const connecting = new SecretDialer(next, encrypt, gateway).connect(
      { host: "down.example.com", port: 443 },
      { signal: new AbortController().signal },
    );
    await expect(connecting).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("is put into no header that servers repeat", async () => {
    const names = ["origin", "user-agent", "referer", "x-request-id", "access-control-request-headers"];
    const headers = [...names, "x-api-key"].flatMap((name) => ["-H", `${name}: ${key}`]);
    await curl(`https://${NAME}/`, ...headers);
    for (const name of names) expect([name, seen[0]!.headers[name]]).toEqual([name, key]);
    expect(seen[0]!.headers["x-api-key"]).toBe(VALUE);
    const { stdout } = await curl(`https://${NAME}/`, "-X", "TRACE", "-H", `x-key: ${key}`);
    expect(stdout).toBe("boxrun: TRACE would return the secrets of the request\n");
    expect(seen).toHaveLength(1);
  });

  it("is refused to another Host after the whole request was sent, too", async () => {
    const upload = join(front.folder, "large");
    writeFileSync(upload, Buffer.alloc(4_000_000));
    const args = ["-T", upload, "-H", "Host: evil.example.com", "-H", "Expect:", "-w", "%{http_code}"];
    const { stdout } = await curl(`https://${NAME}/`, ...args);
    expect(stdout).toMatch(/^boxrun: .* for api\.example\.com alone.*\n421$/);
  });

  it("answers why there is no encrypted connection to the server", async () => {
    fault = new Error("certificate has expired");
    const { stdout } = await curl(`https://${NAME}/`, "-w", "%{http_code}");
    expect(stdout).toBe(`boxrun: no encrypted connection to ${NAME}: certificate has expired\n502`);
    expect(seen).toEqual([]);
  });

  it("passes a reset on to a server that has ended its answers and takes nothing more", async () => {
    let reset: (reason: unknown) => void = () => {};
    const isReset = new Promise((resolve) => {
      reset = resolve;
    });
    const far: ByteConnection = {
      readable: new ReadableStream({ start: (controller) => controller.close() }),
      writable: new WritableStream({
        start: (controller) => {
          const { signal } = controller as unknown as { signal: AbortSignal };
          signal.addEventListener("abort", () => reset("reset"));
        },
        write: () => new Promise(() => {}),
      }),
    };
    const stuck = new SecretDialer({ connect: async () => far }, async () => far, gateway);
    const { signal } = new AbortController();
    const near = await stuck.connect({ host: NAME, port: 443 }, { signal });
    const toServer = near.writable.getWriter();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      near.readable.pipeTo(streamsOf(socket).writable).catch(() => {});
      socket.on("data", (data) => toServer.write(data).catch(() => {}));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const socket = connectTls({ port, host: "127.0.0.1", servername: NAME, ca: authority.pem });
    await once(socket, "secureConnect");
    const ended = once(socket, "end");
    socket.resume();
    socket.write(`POST / HTTP/1.1\r\nHost: ${NAME}\r\nContent-Length: 1000000\r\n\r\n`);
    socket.write(Buffer.alloc(1_000_000));
    await ended;
    socket.on("error", () => {});
    toServer.abort(new Error("reset")).catch(() => {});
    socket.destroy();
    expect(await isReset).toBe("reset");
    server.close();
  });

  it.each([
    { what: "a request after the first", path: "/slow", begins: true },
    { what: "a request after the first, whose answer has not begun", path: "/silent", begins: false },
    { what: "the body of a request that is being answered", path: "/slow", begins: true, inBody: true },
  ])("cuts the connection when $what is refused, for an answer may be under way", async (given) => {
    const socket = connectTls({ port: front.port, host: "127.0.0.1", servername: NAME, ca: authority.pem });
    await once(socket, "secureConnect");
    let answer = "";
    const begun = deferred();
    socket.on("data", (data) => {
      answer += data;
      if (answer.endsWith("half\r\n")) begun.resolve();
    });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    const framing = given.inBody ? "Transfer-Encoding: chunked\r\n" : "";
    socket.write(`POST ${given.path} HTTP/1.1\r\nHost: ${NAME}\r\n${framing}\r\n`);
    if (given.begins) await begun.promise;
    socket.write(given.inBody ? "-1\r\n" : "GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n");
    await closed;
    expect(answer).toMatch(given.begins ? /^HTTP\/1.1 200 [\s\S]*\r\nhalf\r\n$/ : /^$/);
    expect(seen).toEqual([]);
  });

  const line = `GET / HTTP/1.1\r\nHost: ${NAME}\r\n`;
  it.each([
    ["two lengths", `${line}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, 400],
    ["a length and chunks", `${line}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["another coding", `${line}Transfer-Encoding: gzip, chunked\r\n\r\n`, 400],
    ["a coding that hides", `${line}Transfer-Encoding: xchunked\r\n\r\n`, 400],
    ["a length that is none", `${line}Content-Length: +5\r\n\r\nabcde`, 400],
    ["a folded header", `${line}X: a\r\n b\r\n\r\n`, 400],
    ["a blank before the colon", `${line}X : a\r\n\r\n`, 400],
    ["a header with a zero", `${line}X: a\0b\r\n\r\n`, 400],
    ["a lone CR in a header", `${line}X: a\rHost: evil\r\n\r\n`, 400],
    ["no Host", "GET / HTTP/1.1\r\n\r\n", 421],
    ["two Hosts", `${line}Host: ${NAME}\r\n\r\n`, 421],
    ["a whole address", `GET https://evil.example.com/ HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`, 400],
    ["CONNECT", `CONNECT evil.example.com:443 HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`, 400],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["a head without end", `${line}${"X: aaaaaaaa\r\n".repeat(10_000)}`, 431],
    ["a line without end", `${line}X: ${"a".repeat(100_000)}`, 431],
    [
      "a chunk that is longer than it says",
      `${line}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`,
      400,
    ],
    ["a chunk of no size", `${line}Transfer-Encoding: chunked\r\n\r\n-1\r\n`, 400],
  ])("is put into no request with %s, which is refused", async (_what, text, status) => {
    expect(await raw(text)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(seen).toEqual([]);
  });

  it("is not among what an inspector or JSON shows", async () => {
    const { inspect } = await import("node:util");
    expect(inspect(key, { depth: 9, showHidden: true })).not.toContain(VALUE);
    expect(JSON.stringify(key)).not.toContain(VALUE);
  });
});
