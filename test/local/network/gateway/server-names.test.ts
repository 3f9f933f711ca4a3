import { beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { FetchDialer } from "../../../../src/local/network/gateway/fetch-dialer.js";
import { CertificateAuthority } from "../../../../src/local/network/tls/certificate.js";
import { helloRecord } from "./hello.js";

const NAME = "api.example.com";
const UNRECOGNIZED_NAME = 112;
const ILLEGAL_PARAMETER = 47;
const DECODE_ERROR = 50;
const SERVER_HELLO = 2;
const { signal } = new AbortController();

let authority: CertificateAuthority;
beforeAll(async () => {
  authority = await CertificateAuthority.create("BoxRun box test");
});

/** Opens a connection for HTTPS through a page's gateway, sends a hello, and returns the first record that comes back and whether the connection then ends. */
async function answerTo(hello: Uint8Array, host = NAME) {
  vi.stubGlobal("fetch", () => expect.unreachable("nothing is asked for"));
  onTestFinished(() => void vi.unstubAllGlobals());
  const dialer = new FetchDialer({
    authority,
    rewriter: () => undefined,
    origin: "http://page.example",
    isSecure: false,
    denialOf: () => undefined,
    mayFollow: () => true,
  });
  const { readable, writable } = await dialer.connect({ host, port: 443 }, { signal });
  const writer = writable.getWriter();
  await writer.write(hello);
  const reader = readable.getReader();
  const { value } = await reader.read();
  const [type, , , , , ...body] = value!;
  if (type === 22) {
    await writer.abort();
    return { message: body[0] };
  }
  const { done } = await reader.read();
  return { alert: type === 21 ? body[1] : undefined, isFatal: body[0] === 2, hasEnded: done };
}

describe("the name of a server in a hello to a page's gateway", () => {
  it.each([NAME, NAME.toUpperCase()])("is taken when it is the connection's: %s", async (name) => {
    expect(await answerTo(helloRecord(name))).toEqual({ message: SERVER_HELLO });
  });

  it.each<[what: string, alert: number, name: string | undefined]>([
    ["another name", UNRECOGNIZED_NAME, "evil.example.com"],
    ["a name below the connection's", UNRECOGNIZED_NAME, `www.${NAME}`],
    ["localhost", UNRECOGNIZED_NAME, "localhost"],
    ["an address", UNRECOGNIZED_NAME, "203.0.113.7"],
    ["no name", UNRECOGNIZED_NAME, undefined],
    ["an address of IPv6", ILLEGAL_PARAMETER, "2001:db8::1"],
    ["nothing", ILLEGAL_PARAMETER, ""],
    ["300 characters", ILLEGAL_PARAMETER, "a".repeat(300)],
    ["a name of 300 characters", ILLEGAL_PARAMETER, `${"a.".repeat(142)}${NAME}`],
    ["16,000 characters", ILLEGAL_PARAMETER, "a".repeat(16_000)],
    ["a label of 64 characters", ILLEGAL_PARAMETER, `${"a".repeat(64)}.example.com`],
    ["an empty label", ILLEGAL_PARAMETER, "api..example.com"],
    ["a dot at the start", ILLEGAL_PARAMETER, `.${NAME}`],
    ["a dot at the end", ILLEGAL_PARAMETER, `${NAME}.`],
    ["a star", ILLEGAL_PARAMETER, "*.example.com"],
    ["NUL behind it", ILLEGAL_PARAMETER, `${NAME}\0`],
    ["a byte that is no ASCII", ILLEGAL_PARAMETER, `\xe4${NAME}`],
  ])("that is %s ends the handshake by alert %i", async (_what, alert, name) => {
    expect(await answerTo(helloRecord(name))).toEqual({ alert, isFatal: true, hasEnded: true });
  });

  it("that is longer than its field ends the handshake by an alert", async () => {
    const hello = helloRecord(NAME);
    const at = Buffer.from(hello).indexOf(NAME) - 1;
    hello[at] = 200;
    expect(await answerTo(hello)).toEqual({ alert: DECODE_ERROR, isFatal: true, hasEnded: true });
  });

  it("is missed at a connection to an address, for which no client sends one", async () => {
    expect(await answerTo(helloRecord(undefined), "203.0.113.7")).toEqual({
      alert: UNRECOGNIZED_NAME,
      isFatal: true,
      hasEnded: true,
    });
  });
});
