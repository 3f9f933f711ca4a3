import { isBoxRunError } from "../../../src/backend/errors.js";
import { BodyRoom, serveRequests } from "../../../src/local/network/gateway/serve-requests.js";
import { type Header, RefusedRequest, requestReader } from "../../../src/local/network/http/requests.js";
import { LINK, makeUdp, readIpv4, readUdp } from "../../../src/local/network/ipv4.js";
import { NameServer } from "../../../src/local/network/name-server.js";
import { passRequests } from "../../../src/local/network/secrets/pass-requests.js";
import { rewriteHeader } from "../../../src/local/network/secrets/rewrite-header.js";
import { NetworkStack } from "../../../src/local/network/stack.js";
import { ACK, FIN, makeTcp, RST, SYN } from "../../../src/local/network/tcp-segment.js";
import { readClientHello } from "../../../src/local/network/tls/client-hello.js";
import { TlsError } from "../../../src/local/network/tls/wire.js";
import { NetworkPolicy } from "../../../src/network/policy.js";
import { clientHello } from "../../local/network/gateway/hello.js";
import { join, type Mutator } from "./mutate.js";
import { refusal, rule, type Taken, type Target } from "./target.js";

const SERVER = 0xcb007105;
const HOST = "api.example.com";
const encoder = new TextEncoder();

/** A packet that a guest's kernel could send. */
function packetOf({ random }: Mutator): Uint8Array {
  const data = new Uint8Array(random.size(2000)).fill(65);
  if (random.chance(0.3)) return makeUdp(LINK.guest, 4000, LINK.nameServer, 53, questionOf("a.example"));
  const flags = random.pick([SYN, ACK, ACK, ACK, FIN | ACK, RST]);
  const ends = { source: SERVER, sourcePort: 80, target: LINK.guest, targetPort: random.between(4000, 4002) };
  const fields = { flags, sequence: random.between(0, 4), acknowledged: random.between(0, 4), window: 500 };
  const options = { maxSegmentBytes: 1460, windowScale: 7 };
  const made = makeTcp(ends, flags === SYN ? { ...fields, options } : fields, data.byteLength);
  made.data.set(data);
  return made.packet;
}

function questionOf(name: string): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...encoder.encode(label)]);
  return Uint8Array.from([1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
}

const packets: Target = {
  name: "packets of a guest",
  async run(mutator): Promise<Taken> {
    const { random } = mutator;
    let sent = 0;
    const stack = new NetworkStack({
      dialer: {
        connect: async () => ({ readable: new ReadableStream(), writable: new WritableStream() }),
      },
      transmit: (answers) => {
        sent += answers.length;
        for (const answer of answers) {
          const packet = readIpv4(answer);
          rule(packet !== undefined && packet.bytes.byteLength <= LINK.mtu, "an answer is no packet");
          rule(packet.target === LINK.guest, "an answer is for somebody else");
          rule(packet.protocol !== 17 || readUdp(packet.payload) !== undefined, "an answer is no datagram");
        }
      },
      startTimer: () => () => {},
    });
    const good = Array.from({ length: random.between(1, 6) }, () => packetOf(mutator));
    const given = good.map((one) => (random.chance(0.7) ? mutator.mutate(one, good) : one));
    stack.receive(given);
    await new Promise(setImmediate);
    stack.close();
    // For each packet an answer, and one more for what is dialed in the meantime.
    rule(sent <= 2 * given.length, `${given.length} packets have ${sent} answers`);
    return { accepted: sent > 0 };
  },
};

const questions: Target = {
  name: "questions to the name server",
  async run(mutator): Promise<Taken> {
    const { random } = mutator;
    const asked: string[] = [];
    const names = new NameServer(
      {
        connect: () => Promise.reject(new Error("not here")),
        resolves: async (name) => {
          asked.push(name);
          return true;
        },
      },
      new AbortController().signal,
    );
    const good = ["a.example", "www.example.com", "1.0.18.198.in-addr.arpa", "localhost"].map(questionOf);
    const answer = await names.answer(mutator.mutate(random.pick(good), good));
    rule(asked.length <= 1, "one question asks more than one");
    for (const name of asked) rule(/^[a-z0-9_.-]{1,253}$/.test(name), `${JSON.stringify(name)} is no name`);
    return { accepted: answer !== undefined && (answer[3]! & 15) === 0 };
  },
};

const hellos: Target = {
  name: "TLS hellos",
  run(mutator): Taken {
    const hello = clientHello(HOST, mutator.random.pick([0x1301, 0x1303]));
    const given = mutator.random.chance(0.1) ? hello : mutator.mutate(hello);
    const error = refusal(
      () => {
        const { serverName, shares, groups } = readClientHello(given);
        rule(serverName === undefined || /^[a-z0-9_.-]{1,253}$/.test(serverName), "the name is none");
        rule(shares.size <= given.byteLength && groups.length <= given.byteLength, "more than was sent");
      },
      (thrown) => thrown instanceof TlsError,
    );
    return { accepted: !error };
  },
};

const REQUESTS = [
  `GET /a HTTP/1.1\r\nHost: ${HOST}\r\nX-Key: PLACEHOLDER\r\n\r\n`,
  `POST / HTTP/1.1\r\nHost: ${HOST}:443\r\nContent-Length: 5\r\n\r\nhello`,
  `PUT /b HTTP/1.1\r\nhost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: v\r\n\r\n`,
].map((text) => encoder.encode(text));

const requests: Target = {
  name: "requests with secrets",
  async run(mutator): Promise<Taken> {
    const { random } = mutator;
    const whole = join(Array.from({ length: random.between(1, 3) }, () => random.pick(REQUESTS)));
    const bytes = random.chance(0.1) ? whole : mutator.mutate(whole, REQUESTS);
    const pieces = mutator.chunks(bytes);
    let rewritten = 0;
    const passed: Uint8Array[] = [];
    const to = new WritableStream<Uint8Array>({ write: (piece) => void passed.push(piece) }).getWriter();
    const from = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const piece of pieces) if (piece.byteLength > 0) controller.enqueue(piece);
        controller.close();
      },
    });
    const rewrite = (header: Header) =>
      rewriteHeader(header, (value) => {
        rewritten++;
        return value.replaceAll("PLACEHOLDER", "THE-VALUE");
      });
    const error: unknown = await passRequests(requestReader(from), to, { host: HOST, rewrite }).catch(
      (thrown) => thrown,
    );
    rule(error === undefined || error instanceof RefusedRequest, `it threw ${error}`);
    const out = Buffer.concat(passed).toString("latin1");
    // A head that has the value has the host, alone.
    const heads = out.split("\r\n\r\n").filter((head) => head.includes("THE-VALUE"));
    const isOfHost = (head: string) =>
      [...head.matchAll(/^host: *(.*?)\s*$/gim)].every(([, host]) =>
        /^api\.example\.com(:443)?$/i.test(host!),
      );
    rule(heads.every(isOfHost), `the value went elsewhere: ${JSON.stringify(out)}`);
    return { accepted: error === undefined && rewritten > 0 };
  },
};

const served: Target = {
  name: "requests by a page's fetch",
  async run(mutator): Promise<Taken> {
    const { random } = mutator;
    const whole = join(Array.from({ length: random.between(1, 3) }, () => random.pick(REQUESTS)));
    const pieces = mutator.chunks(random.chance(0.1) ? whole : mutator.mutate(whole, REQUESTS));
    const written: Uint8Array[] = [];
    const ended = { isClosed: false, reason: undefined as unknown };
    const connection = {
      readable: new ReadableStream<Uint8Array>({
        start: (controller) => {
          for (const piece of pieces) if (piece.byteLength > 0) controller.enqueue(piece);
          controller.close();
        },
      }),
      writable: new WritableStream<Uint8Array>({
        write: (piece) => void written.push(piece),
        close: () => {
          ended.isClosed = true;
        },
        abort: (reason) => {
          ended.reason = reason;
        },
      }),
    };
    let asked = 0;
    await serveRequests(connection, {
      ...{ host: HOST, port: 443, room: new BodyRoom(), onRefusal: () => {} },
      answer: async ({ method, target, headers, body }) => {
        asked++;
        rule(/^[!-~]+$/.test(method) && /^(?:\/[!-~]*|\*)$/.test(target), `it asks for ${method} ${target}`);
        rule(body.byteLength <= whole.byteLength * 4, "the body is longer than what came");
        // No header is one that fetch could not take.
        for (const { name, value } of headers) new Headers().append(name, value);
        return new Response("hello", { status: 200 });
      },
    });
    rule(ended.isClosed, `the connection was cut: ${ended.reason}`);
    const out = Buffer.concat(written).toString("latin1");
    const answers = out.match(/HTTP\/1\.1 [2-5]/g)?.length ?? 0;
    rule(answers === asked || answers === asked + 1, `${asked} requests have ${answers} answers`);
    return { accepted: asked > 0 };
  },
};

const RULES = ["pypi.org", "*.example.com:443", "203.0.113.0/24:8000-8100", "[2001:db8::/32]:443", "*"].map(
  (text) => encoder.encode(text),
);

const rules: Target = {
  name: "rules of a network",
  run(mutator): Taken {
    const decoder = new TextDecoder();
    const text = decoder.decode(mutator.mutate(mutator.random.pick(RULES), RULES).subarray(0, 300));
    const error = refusal(
      () => {
        const policy = new NetworkPolicy({ allow: [text] });
        for (const host of ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1"]) {
          const isOwn = /^\[?[0-9a-f:./]+\]?(?::|$)/i.test(text);
          rule(isOwn || !policy.decide(host, 80).allowed, `${JSON.stringify(text)} opens ${host}`);
        }
        rule(
          text.includes("host.internal") || !policy.decide("host.internal", 80).allowed,
          "it opens the host",
        );
      },
      (thrown) => isBoxRunError(thrown) && thrown.code === "VALIDATION_ERROR",
    );
    return { accepted: !error };
  },
};

/** Everything that reads what a box with a network sends, and the rules for it. */
export const NETWORK_TARGETS: readonly Target[] = [packets, questions, hellos, requests, served, rules];
