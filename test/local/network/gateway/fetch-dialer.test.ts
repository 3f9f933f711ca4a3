import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { NetworkOptions } from "../../../../src/contract/types.js";
import { FetchDialer } from "../../../../src/local/network/gateway/fetch-dialer.js";
import type { DialTarget } from "../../../../src/network/dialer.js";
import { PolicyDialer } from "../../../../src/network/policy-dialer.js";
import { deferred } from "../../../../src/util/deferred.js";
import { exchange, headersOf, lines, NAME, signal, usePage } from "./page.js";

const GET = lines("GET /a?b=c HTTP/1.1", `Host: ${NAME}`);

const page = usePage();
const raw = (text: string) => exchange(page.dialer, text);
const curl = async (...args: string[]) => (await page.front.curl(...args)).stdout;
const headersSent = (at = 0) => headersOf(page.asked[at]!);
const corsFailure = () => Promise.reject(new TypeError("Failed to fetch"));

/** An answer that came from another address than was asked for. */
function redirectedTo(url: string): Response {
  return Object.defineProperties(new Response("far"), {
    redirected: { value: true },
    url: { value: url },
  });
}

describe("a request by a page's fetch", () => {
  it("has nothing of the page in it", async () => {
    expect(await raw(GET)).toBe(
      lines("HTTP/1.1 200 ", "content-type: text/plain;charset=UTF-8", "transfer-encoding: chunked") +
        "5\r\nhello\r\n0\r\n\r\n",
    );
    expect(page.asked[0]).toMatchObject({
      url: `http://${NAME}/a?b=c`,
      init: { method: "GET", credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store" },
    });
    expect(page.asked[0]!.init.body).toBeUndefined();
  });

  it("comes by HTTPS with the certificate of the box's authority, one after the other on a connection", async () => {
    const url = `https://${NAME}/`;
    expect(await curl(url, `${url}b`, "-w", "%{num_connects} %{ssl_verify_result}\n")).toBe(
      "hello1 0\nhello0 0\n",
    );
    expect(page.asked.map(({ url }) => url)).toEqual([url, `${url}b`]);
    const { code } = await page.front.curl(
      "https://other.example.com/",
      "--connect-to",
      `::127.0.0.1:${page.front.port}`,
    );
    expect(code).toBe(35);
  });

  it("is made by https on a page of https", async () => {
    page.dialer = new FetchDialer({ ...page.options, isSecure: true });
    await raw(GET);
    expect(page.asked[0]!.url).toBe(`https://${NAME}/a?b=c`);
  });

  it("is refused on a page of https where the rules deny the port of https", async () => {
    const cases: [NetworkOptions, rule: string][] = [
      [{ deny: [`${NAME}:443`] }, `deny[0] ${NAME}:443`],
      [{ allow: [`${NAME}:80`] }, "not in allow"],
    ];
    for (const [rules, rule] of cases) {
      const policy = new PolicyDialer(page.dialer, rules);
      page.dialer = new FetchDialer({
        ...page.options,
        isSecure: true,
        denialOf: (target) => policy.denialOf(target),
      });
      const said = await raw(GET);
      expect(said).toMatch(/^HTTP\/1.1 403 /);
      expect(said).toContain(`the page's fetch goes to ${NAME} port 443, which is denied: ${rule}\n`);
    }
    expect(page.asked).toEqual([]);
  });

  it("leaves out headers that pages cannot send, and those that servers do not expect from one", async () => {
    await raw(
      lines(
        "GET / HTTP/1.1",
        `Host: ${NAME}`,
        ...[
          "Connection: keep-alive, X-Hop",
          "X-Hop: 1",
          "TE: trailers",
          "Accept-Encoding: gzip",
          "Cookie: a=b",
        ],
        ...["Cache-Control: max-age=0", "Pragma: no-cache", "User-Agent: pip/26", "npm-command: install"],
        ...[
          "pacote-version: 1",
          "Origin: http://evil",
          "Referer: http://a",
          "Sec-Fetch-Mode: x",
          "Expect: x",
        ],
        ...["Accept: text/html", "X-Mine: 1", "X-Mine: 2", "Range: bytes=0-1"],
      ),
    );
    expect(headersSent()).toEqual({ accept: "text/html", "x-mine": "1, 2", range: "bytes=0-1" });
  });

  it("is tried once more with the headers that any server takes, as are those to that server for a minute", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    page.answer = ({ init }) => (init.headers.has("x-mine") ? corsFailure() : new Response("hello"));
    const mine = lines("GET / HTTP/1.1", `Host: ${NAME}`, "Accept: text/html", "X-Mine: 1");
    expect(await raw(mine)).toContain("hello");
    expect(await raw(mine)).toContain("hello");
    expect(page.asked.map((_, i) => headersSent(i))).toEqual([
      { accept: "text/html", "x-mine": "1" },
      { accept: "text/html" },
      { accept: "text/html" },
    ]);
    const part = lines("GET / HTTP/1.1", `Host: ${NAME}`, "X-Mine: 1", "Range: bytes=2-3");
    expect(await raw(part)).toMatch(/^HTTP\/1.1 502 /);
    expect(headersSent(3)).toEqual({ "x-mine": "1", range: "bytes=2-3" });
    page.answer = () => new Response("hello");
    vi.advanceTimersByTime(61_000);
    await raw(mine);
    expect(headersSent(4)).toEqual({ accept: "text/html", "x-mine": "1" });
  });

  it.each([
    ["changes something", lines("POST / HTTP/1.1", `Host: ${NAME}`, "X-Mine: 1", "Content-Length: 0")],
    ["says who asks", lines("GET / HTTP/1.1", `Host: ${NAME}`, "Authorization: Bearer a")],
    ["asks for a part", lines("GET / HTTP/1.1", `Host: ${NAME}`, "Range: bytes=2-3")],
    ["has a condition", lines("GET / HTTP/1.1", `Host: ${NAME}`, 'If-Match: "1"')],
    ["has no other headers", GET],
  ])("is not tried again when it %s", async (_, text) => {
    page.answer = corsFailure;
    const said = await raw(text);
    expect(said).toMatch(/^HTTP\/1.1 502 Bad Gateway\r\n/);
    expect(said).toContain(`no answer from http://${NAME} by the page's fetch`);
    expect(said).toContain("CORS");
    expect(said).toContain("local.relay");
    expect(page.asked).toHaveLength(1);
  });

  it("carries a body of up to 16 MB, by its length or in chunks", async () => {
    const post = (...more: string[]) => lines("POST / HTTP/1.1", `Host: ${NAME}`, ...more);
    await raw(
      `${post("Content-Length: 5")}hello${post("Transfer-Encoding: chunked")}3\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n`,
    );
    expect(page.asked.map(({ init }) => Buffer.from(init.body!).toString())).toEqual(["hello", "abcde"]);
    const large = Buffer.alloc(16 * 2 ** 20, 120).toString();
    await raw(`${post(`Content-Length: ${large.length}`)}${large}`);
    expect(page.asked[2]!.init.body!.byteLength).toBe(large.length);
    const tooLarge = await raw(post(`Content-Length: ${large.length + 1}`));
    expect(tooLarge).toMatch(/^HTTP\/1.1 413 /);
    expect(tooLarge).toContain("connection: close");
    const inChunks = `${(large.length).toString(16)}\r\n${large}\r\n1\r\na\r\n0\r\n\r\n`;
    expect(await raw(post("Transfer-Encoding: chunked") + inChunks)).toMatch(/^HTTP\/1.1 413 /);
    expect(page.asked).toHaveLength(3);
  });

  it("is refused where the bodies of others take all the room", async () => {
    const begun = deferred();
    const pending = deferred<Response>();
    page.answer = () => {
      if (page.asked.length === 4) begun.resolve();
      return pending.promise;
    };
    const post = lines("POST / HTTP/1.1", `Host: ${NAME}`, `Content-Length: ${16 * 2 ** 20}`);
    const text = post + Buffer.alloc(16 * 2 ** 20, 120).toString();
    const four = Array.from({ length: 4 }, () => raw(text));
    await begun.promise;
    const small = `${lines("POST / HTTP/1.1", `Host: ${NAME}`, "Content-Length: 5")}hello`;
    expect(await raw(small)).toMatch(/^HTTP\/1.1 503 /);
    pending.resolve(new Response(null, { status: 204 }));
    for (const said of await Promise.all(four)) expect(said).toMatch(/^HTTP\/1.1 204 /);
    expect(await raw(small)).toMatch(/^HTTP\/1.1 204 /);
  });

  it("is sent by programs that wait to be told to", async () => {
    const body = "a".repeat(2_000_000);
    writeFileSync(join(page.front.folder, "body"), body);
    const wait = ["-H", "Expect: 100-continue", "--expect100-timeout", "19"];
    expect(await curl(`https://${NAME}/`, ...wait, "-T", join(page.front.folder, "body"))).toBe("hello");
    expect(page.asked[0]!.init).toMatchObject({ method: "PUT" });
    expect(page.asked[0]!.init.body!.byteLength).toBe(body.length);
  });

  it.each([
    [421, "another Host", lines("GET / HTTP/1.1", "Host: evil.example.com")],
    [421, "another port", lines("GET / HTTP/1.1", `Host: ${NAME}:8080`)],
    [400, "the whole address", lines(`GET http://${NAME}/ HTTP/1.1`, `Host: ${NAME}`)],
    [
      400,
      "two framings",
      lines("POST / HTTP/1.1", `Host: ${NAME}`, "Content-Length: 1", "Transfer-Encoding: chunked"),
    ],
    [
      501,
      "a WebSocket",
      lines("GET / HTTP/1.1", `Host: ${NAME}`, "Connection: Upgrade", "Upgrade: websocket"),
    ],
    [501, "TRACE", lines("TRACE / HTTP/1.1", `Host: ${NAME}`)],
    [501, "OPTIONS *", lines("OPTIONS * HTTP/1.1", `Host: ${NAME}`)],
    [501, "GET with a body", `${lines("GET / HTTP/1.1", `Host: ${NAME}`, "Content-Length: 1")}a`],
  ])("is refused with %i for %s", async (status, _, text) => {
    expect(await raw(text)).toMatch(new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*\\r\\n\\r\\nboxrun: .+\\n$`));
    expect(page.asked).toEqual([]);
  });

  it("is refused by HTTPS, too, and says why, for another host than the handshake's, and no other request", async () => {
    const url = `https://${NAME}/`;
    const other = await curl("-w", "%{http_code}", "-H", "Host: Other.example.com", url);
    expect(other).toBe(
      `boxrun: the request names the host "other.example.com", and this connection is for ${NAME} alone: open another one for another host\n421`,
    );
    expect(await curl("-w", "%{http_code}", "-H", "Host:", url)).toMatch(/does not name one host.*\n421$/);
    expect(page.asked).toEqual([]);
    expect(await curl(url)).toBe("hello");
  });

  it("takes a Host with the usual port, and no path for another host", async () => {
    await raw(lines("GET //evil.example.com/a HTTP/1.1", `Host: ${NAME}:80`, "Connection: close"));
    expect(page.asked[0]!.url).toBe(`http://${NAME}//evil.example.com/a`);
  });

  it("is aborted when its program goes", async () => {
    const begun = deferred<AbortSignal>();
    const pending = deferred<Response>();
    page.answer = ({ init }) => {
      begun.resolve(init.signal!);
      return pending.promise;
    };
    const { readable, writable } = await page.dialer.connect({ host: NAME, port: 80 }, { signal });
    const writer = writable.getWriter();
    await writer.write(Buffer.from(GET));
    const ofFetch = await begun.promise;
    expect(ofFetch.aborted).toBe(false);
    readable.cancel().catch(() => {});
    writer.abort(new Error("reset")).catch(() => {});
    if (!ofFetch.aborted) await once(ofFetch, "abort");
    pending.reject(ofFetch.reason);
  });
});

describe("an answer by a page's fetch", () => {
  it("says nothing of how its body was compressed", async () => {
    const headers = { "content-encoding": "gzip", "content-length": "3", etag: '"1"', connection: "close" };
    page.answer = () => new Response("hello", { headers });
    const said = await raw(GET);
    expect(said).toContain('etag: "1"\r\n');
    expect(said).not.toMatch(/content-encoding|content-length|connection/);
  });

  it.each([
    ["HEAD", 200, "content-length: 70000"],
    ["GET", 204, ""],
    ["GET", 304, ""],
    ["GET", 205, "content-length: 0"],
  ])("to %s with status %i has no body", async (method, status, length) => {
    page.answer = () =>
      new Response(null, { status, headers: method === "HEAD" ? { "content-length": "70000" } : {} });
    const text = lines(`${method} / HTTP/1.1`, `Host: ${NAME}`);
    const said = await raw(text + text);
    expect(said.match(/HTTP\/1.1 /g)).toHaveLength(2);
    expect(said).not.toContain("transfer-encoding");
    expect(said.endsWith("\r\n\r\n")).toBe(true);
    if (length) expect(said).toContain(length);
    else expect(said).not.toContain("content-length");
  });

  it("to HTTP/1.0 ends with the connection", async () => {
    const said = await raw(lines("GET / HTTP/1.0", `Host: ${NAME}`) + GET);
    expect(said).toMatch(/connection: close\r\n\r\nhello$/);
    expect(page.asked).toHaveLength(1);
  });

  it("to HEAD that has none says so without a body", async () => {
    page.answer = corsFailure;
    const said = await raw(lines("HEAD / HTTP/1.1", `Host: ${NAME}`) + GET);
    expect(said).toMatch(/^HTTP\/1.1 502 Bad Gateway\r\n(?:[^\r]+\r\n)+\r\nHTTP\/1.1 502/);
  });

  it("is cut when the server cuts it", async () => {
    page.answer = () =>
      new Response(
        new ReadableStream({
          start: (controller) => {
            controller.enqueue(new TextEncoder().encode("half"));
          },
          pull: (controller) => controller.error(new TypeError("network error")),
        }),
      );
    await expect(raw(GET)).rejects.toThrow();
  });

  it("waits for a program that does not read", async () => {
    const piece = new Uint8Array(64 * 1024);
    let pulled = 0;
    page.answer = () =>
      new Response(
        new ReadableStream(
          {
            pull: (controller) => {
              if (++pulled > 200) return controller.close();
              controller.enqueue(piece);
            },
          },
          { highWaterMark: 0 },
        ),
      );
    const connection = await page.dialer.connect({ host: NAME, port: 80 }, { signal });
    const reader = connection.readable.getReader();
    await connection.writable.getWriter().write(Buffer.from(lines("GET / HTTP/1.0", `Host: ${NAME}`)));
    await reader.read();
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    expect(pulled).toBeLessThan(20);
    let bytes = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read())
      bytes += next.value.byteLength;
    expect(bytes).toBe(200 * piece.byteLength);
  });

  it("is withheld when it comes from where the box may not go", async () => {
    const far = "https://far.example.com/x";
    page.answer = () => redirectedTo(far);
    expect(await raw(GET)).toContain("far");
    const denialOf = ({ host }: DialTarget) => (host === "far.example.com" ? "far.example.com" : undefined);
    page.dialer = new FetchDialer({ ...page.options, denialOf });
    expect(await raw(GET)).toContain(`redirects to ${far}: far.example.com`);
    for (const url of [
      "http://page.example/a",
      "http://localhost/",
      "http://[::1]/",
      "http://a.example:81/",
    ]) {
      page.answer = () => redirectedTo(url);
      expect(await raw(GET)).toMatch(/^HTTP\/1.1 403 /);
    }
  });

  it("of a server that redirects is none for a box with rules", async () => {
    page.dialer = new FetchDialer({ ...page.options, mayFollow: () => false });
    page.answer = () => Object.defineProperty(new Response(null), "type", { value: "opaqueredirect" });
    expect(await raw(GET)).toMatch(/^HTTP\/1.1 502 [\s\S]*a box with rules/);
    expect(page.asked[0]!.init.redirect).toBe("manual");
  });
});
