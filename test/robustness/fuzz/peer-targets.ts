import { gzipSync } from "node:zlib";
import type { Connection } from "../../../src/backend/backend.js";
import { isBoxRunError } from "../../../src/backend/errors.js";
import { acceptTls } from "../../../src/local/network/tls/server.js";
import { TlsError } from "../../../src/local/network/tls/wire.js";
import { fetchPort } from "../../../src/ports/fetch.js";
import { helloRecord } from "../../local/network/gateway/hello.js";
import { join, type Mutator } from "./mutate.js";
import { rule, type Taken, type Target } from "./target.js";

const PORT = 8080;
const MAX_REDIRECTS = 20;
/** What DEFLATE makes of a byte at most. */
const MOST_INFLATED = 1032;
const encoder = new TextEncoder();
const answer = (head: string, body: string | Uint8Array = "") =>
  join([encoder.encode(`${head}\r\n\r\n`), typeof body === "string" ? encoder.encode(body) : body]);
const packed = gzipSync("hello, hello, hello");
const ANSWERS = [
  answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Key: value", "hello"),
  answer(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
    "5;x=y\r\nhello\r\na\r\n, and more.\r\n0\r\nT: v\r\n\r\n",
  ),
  answer("HTTP/1.0 404 Not Found\r\nContent-Type: text/html", "until the end"),
  answer(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${packed.length}`, packed),
  answer("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content"),
  answer(`HTTP/1.1 302 Found\r\nLocation: http://localhost:${PORT}/next\r\nContent-Length: 0`),
  answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5", "hello"),
];

/** A connection whose other side sends these pieces, and takes everything. `ended` tells whether it was closed. */
function connectionThat(pieces: readonly Uint8Array[]) {
  const state = { isClosed: false, isAborted: false, written: [] as Uint8Array[] };
  const readable = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const piece of pieces) if (piece.byteLength > 0) controller.enqueue(piece);
      controller.close();
    },
  });
  const writable = new WritableStream<Uint8Array>({
    write: (piece) => void state.written.push(piece.slice()),
    close: () => {
      state.isClosed = true;
    },
    abort: () => {
      state.isAborted = true;
    },
  });
  return { state, readable, writable };
}

const answers: Target = {
  name: "answers of a server in a box",
  async run(mutator: Mutator): Promise<Taken> {
    const { random } = mutator;
    const good = random.pick(ANSWERS);
    const given = random.chance(0.1) ? good : mutator.mutate(good, ANSWERS);
    let open = 0;
    let made = 0;
    const connect = async () => {
      open++;
      made++;
      let isOpen = true;
      const close = async () => {
        if (isOpen) open--;
        isOpen = false;
      };
      return { ...connectionThat(mutator.chunks(given)), closed: Promise.resolve(), close } as Connection;
    };
    const method = random.pick(["GET", "POST", "HEAD"]);
    const asked = fetchPort(connect, PORT, "/", { method, ...(method === "POST" && { body: "a body" }) });
    const outcome = await asked
      .then(async (response) => ({ status: response.status, bytes: await response.arrayBuffer() }))
      .catch((error: unknown) => ({ error }));
    if ("error" in outcome) rule(isBoxRunError(outcome.error), `it threw ${outcome.error}`);
    else {
      rule(outcome.status >= 200 && outcome.status <= 599, `an answer has status ${outcome.status}`);
      rule(outcome.bytes.byteLength <= given.byteLength * MOST_INFLATED, "the body is longer than what came");
    }
    await new Promise(setImmediate);
    rule(open === 0, `${open} connections are left`);
    rule(made <= MAX_REDIRECTS + 1, `it asks ${made} times`);
    return { accepted: !("error" in outcome) };
  },
};

/** Names in hellos: of the server, of others, and what is none. */
const NAMES = ["api.example.com", "localhost", "203.0.113.7", "a..b", "", "a".repeat(300), undefined];

const handshakes: Target = {
  name: "TLS records before a handshake",
  async run(mutator: Mutator): Promise<Taken> {
    const { random } = mutator;
    const hello = helloRecord(random.pick(NAMES));
    // A hello may come in many records.
    const cut = random.between(6, hello.byteLength - 1);
    const rest = hello.byteLength - cut;
    const parts = [
      join([Uint8Array.of(22, 3, 1, (cut - 5) >> 8, (cut - 5) & 255), hello.subarray(5, cut)]),
      join([Uint8Array.of(22, 3, 3, rest >> 8, rest & 255), hello.subarray(cut)]),
    ];
    const good = random.chance(0.3) ? join(parts) : hello;
    const given = random.chance(0.1) ? good : mutator.mutate(good, [hello, ...parts]);
    const { state, readable, writable } = connectionThat(mutator.chunks(given));
    const asked: string[] = [];
    const certify = async (name: string) => {
      asked.push(name);
      throw new Error("none");
    };
    const failed: unknown = await acceptTls(
      { readable, writable },
      { certify, protocols: ["http/1.1"] },
    ).catch((error: unknown) => error);
    rule(failed instanceof Error, "the handshake does not fail");
    rule(asked.length <= 1, "one hello asks for more than one certificate");
    for (const name of asked)
      rule(/^(?=.{1,253}$)[a-z0-9_.-]+$/.test(name), `${JSON.stringify(name)} is no name`);
    const out = join(state.written);
    if (failed instanceof TlsError) rule(out.at(-1) === failed.alert, "the client is not told by an alert");
    rule(out.byteLength <= 7 + 200, `it sends ${out.byteLength} bytes`);
    return { accepted: asked.length > 0 };
  },
};

/** What reads the answers of servers in a box, and the hellos of its programs. */
export const PEER_TARGETS: readonly Target[] = [answers, handshakes];
