import { describe, expect, it } from "vitest";
import type { ByteConnection, Dialer, DialOptions, DialTarget } from "../../src/network/dialer.js";
import { DialError } from "../../src/network/dialer.js";
import { PolicyDialer } from "../../src/network/policy-dialer.js";
import { deferred } from "../../src/util/deferred.js";

const signal = new AbortController().signal;
const PUBLIC = "93.184.216.34";

/** A driver whose names have the addresses that a test gives them, and whose connections echo. */
class EchoDialer implements Dialer {
  readonly dialed: string[] = [];
  readonly lookedUp: string[] = [];
  /** Reason with which a connection was reset. */
  readonly reset = deferred<unknown>();
  asksFirst = true;

  constructor(private readonly addresses: Record<string, string[]> = {}) {}

  async resolves(name: string): Promise<boolean> {
    this.lookedUp.push(name);
    return name in this.addresses;
  }

  async connect({ host }: DialTarget, { mayReach = () => true }: DialOptions): Promise<ByteConnection> {
    const found = this.addresses[host] ?? [host];
    const address = this.asksFirst ? found.find((one) => mayReach(one)) : found[0];
    if (address === undefined) throw new DialError("EACCES", "no address is left");
    this.dialed.push(address);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const reader = readable.getReader();
    const writer = writable.getWriter();
    writer.closed.catch((reason) => this.reset.resolve(reason));
    return {
      address,
      readable: new ReadableStream(
        {
          pull: async (controller) => {
            const { done, value } = await reader.read();
            if (done) controller.close();
            else controller.enqueue(value);
          },
          cancel: (reason) => reader.cancel(reason),
        },
        { highWaterMark: 0 },
      ),
      writable: new WritableStream({
        write: (chunk) => writer.write(chunk),
        close: () => writer.close(),
        abort: (reason) => writer.abort(reason),
      }),
    };
  }
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => Promise.reject(new Error("it did not fail")),
    (error) => error,
  );
const last = (dialer: PolicyDialer) => dialer.log().at(-1)!;

async function echo({ readable, writable }: ByteConnection, text: string): Promise<string> {
  const writer = writable.getWriter();
  const written = writer.write(new TextEncoder().encode(text)).then(() => writer.close());
  let answer = "";
  for await (const chunk of readable) answer += new TextDecoder().decode(chunk);
  await written;
  return answer;
}

describe("a dialer with rules", () => {
  it("passes bytes and ends both ways, and counts them", async () => {
    const dialer = new PolicyDialer(new EchoDialer({ "pypi.org": [PUBLIC] }), true);
    const connection = await dialer.connect({ host: "pypi.org", port: 443 }, { signal });
    expect(last(dialer)).toMatchObject({ host: "pypi.org", port: 443, address: PUBLIC, verdict: "allowed" });
    expect(last(dialer)).not.toHaveProperty("endedAt");
    expect(await echo(connection, "hello")).toBe("hello");
    expect(last(dialer)).toMatchObject({ sentBytes: 5, receivedBytes: 5, endedAt: expect.any(Date) });
    expect(last(dialer)).not.toHaveProperty("error");
    expect(last(dialer)).not.toHaveProperty("rule");
  });

  it("denies with the rule's name, before anything is dialed", async () => {
    const driver = new EchoDialer();
    const dialer = new PolicyDialer(driver, { deny: ["*.example.com"] });
    const error = await failure(dialer.connect({ host: "a.example.com", port: 80 }, { signal }));
    expect(error).toMatchObject({ name: "DialError", code: "EACCES" });
    expect(error.message).toContain("deny[0] *.example.com");
    expect(driver.dialed).toEqual([]);
    expect(last(dialer)).toMatchObject({ verdict: "denied", rule: "deny[0] *.example.com", error: "EACCES" });
  });

  it("denies a name whose address is not public, and connects to the public one of two", async () => {
    const driver = new EchoDialer({ rebind: ["127.0.0.1"], both: ["127.0.0.1", PUBLIC] });
    const dialer = new PolicyDialer(driver, true);
    expect(await failure(dialer.connect({ host: "rebind", port: 80 }, { signal }))).toMatchObject({
      code: "EACCES",
    });
    expect(last(dialer)).toMatchObject({ verdict: "denied", rule: "address is not public" });
    await dialer.connect({ host: "both", port: 80 }, { signal });
    expect(driver.dialed).toEqual([PUBLIC]);
  });

  it("resets what a driver dialed without asking", async () => {
    const driver = new EchoDialer({ rebind: ["127.0.0.1"] });
    driver.asksFirst = false;
    const dialer = new PolicyDialer(driver, true);
    expect(await failure(dialer.connect({ host: "rebind", port: 80 }, { signal }))).toMatchObject({
      code: "EACCES",
    });
    expect(last(dialer)).toMatchObject({
      verdict: "denied",
      rule: "address is not public",
      address: "127.0.0.1",
    });
    expect(await driver.reset.promise).toMatchObject({ code: "ECONNRESET" });
  });

  it("asks no name server for names that are denied", async () => {
    const driver = new EchoDialer({ "pypi.org": [PUBLIC] });
    const dialer = new PolicyDialer(driver, { allow: ["pypi.org", "gone.example", "host.internal"] });
    expect(await dialer.resolves("pypi.org", { signal })).toBe(true);
    expect(await dialer.resolves("gone.example", { signal })).toBe(false);
    expect(await dialer.resolves("c2vjcmv0.evil.example", { signal })).toBe(true);
    expect(await dialer.resolves("host.internal", { signal })).toBe(true);
    expect(await dialer.resolves("2130706433", { signal })).toBe(false);
    expect(driver.lookedUp).toEqual(["pypi.org", "gone.example"]);
  });

  it("bounds the lookups that are under way", async () => {
    let asked = 0;
    const driver: Dialer = {
      resolves: () => {
        asked++;
        return new Promise(() => {});
      },
      connect: () => Promise.reject(new DialError("ENETUNREACH", "none")),
    };
    const dialer = new PolicyDialer(driver, true);
    for (let i = 0; i < 64; i++) void dialer.resolves(`n${i}.example`, { signal });
    expect(await failure(dialer.resolves("one.more.example", { signal }))).toBeInstanceOf(Error);
    expect(asked).toBe(64);
  });

  it("resets connections that new rules do not allow, and keeps the others", async () => {
    const driver = new EchoDialer({
      "a.example": [PUBLIC],
      "b.example": ["1.1.1.1"],
      "c.example": ["9.9.9.9"],
    });
    const dialer = new PolicyDialer(driver, true);
    const [a, b, c] = await Promise.all(
      ["a.example", "b.example", "c.example"].map((host) => dialer.connect({ host, port: 80 }, { signal })),
    );
    const cut = failure(a!.readable.getReader().read());
    dialer.update({ allow: ["b.example", "c.example"], deny: ["9.9.9.0/24"] });
    expect(await cut).toMatchObject({ code: "ECONNRESET" });
    expect(await failure(a!.writable.getWriter().closed)).toMatchObject({ code: "ECONNRESET" });
    expect(await failure(c!.readable.getReader().read())).toMatchObject({ code: "ECONNRESET" });
    expect(await echo(b!, "still here")).toBe("still here");
    expect(await driver.reset.promise).toMatchObject({ code: "ECONNRESET" });
    expect(dialer.log().map(({ rule, error }) => [rule, error])).toEqual([
      ["not in allow", "ECONNRESET"],
      [undefined, undefined],
      ["deny[0] 9.9.9.0/24", "ECONNRESET"],
    ]);
  });

  it("applies new rules to a connection that is being made", async () => {
    const inner = new EchoDialer({ "a.example": [PUBLIC] });
    let go = () => {};
    const going = new Promise<void>((resolve) => (go = resolve));
    const driver: Dialer = {
      connect: async (target, options) => {
        const connection = await inner.connect(target, options);
        await going;
        return connection;
      },
    };
    const dialer = new PolicyDialer(driver, true);
    const made = failure(dialer.connect({ host: "a.example", port: 80 }, { signal }));
    dialer.update({ allow: [] });
    go();
    expect(await made).toMatchObject({ code: "EACCES" });
    expect(await inner.reset.promise).toMatchObject({ code: "ECONNRESET" });
  });

  it("keeps its rules when new ones make no sense", async () => {
    const dialer = new PolicyDialer(new EchoDialer(), { allow: [] });
    expect(() => dialer.update({ allow: ["*"], deny: ["http://x"] })).toThrow("network.deny[0]");
    expect(await failure(dialer.connect({ host: "a.example", port: 80 }, { signal }))).toMatchObject({
      code: "EACCES",
    });
  });

  it("lets no box exceed the bounds of its server", async () => {
    const driver = new EchoDialer({ "b.example": ["10.0.0.1"] });
    const rules = { allow: ["*", "10.0.0.0/8", "host.internal"] };
    const dialer = new PolicyDialer(driver, rules, { bounds: { allow: ["*.example"] } });
    const ruleFor = async (host: string) => {
      await failure(dialer.connect({ host, port: 80 }, { signal }));
      return last(dialer).rule;
    };
    expect(await ruleFor("pypi.org")).toBe("the server's not in allow");
    expect(await ruleFor("host.internal")).toBe("the server's host.internal needs a rule of its own");
    expect(await ruleFor("b.example")).toBe("the server's address is not public");
    expect(await dialer.resolves("pypi.org", { signal })).toBe(true);
    expect(driver.lookedUp).toEqual([]);
    dialer.update({ allow: ["pypi.org"] });
    expect(await ruleFor("b.example")).toBe("not in allow");
  });

  it("denies connections beyond the limits, and counts those that have ended no more", async () => {
    const driver = new EchoDialer();
    const limits = { open: 2, perSecond: 0, burst: 4 };
    const dialer = new PolicyDialer(driver, true, { limits });
    const connect = () => dialer.connect({ host: PUBLIC, port: 80 }, { signal });
    const first = await connect();
    await connect();
    expect(await failure(connect())).toMatchObject({ code: "EACCES" });
    expect(last(dialer)).toMatchObject({ verdict: "denied", rule: "too many connections" });
    await echo(first, "");
    const third = await connect();
    await third.writable.abort(new Error("over"));
    await connect();
    expect(await failure(connect())).toMatchObject({ code: "EACCES" });
  });

  it("tells failures apart in its log", async () => {
    const failing: Dialer = { connect: () => Promise.reject(new DialError("ECONNREFUSED", "refused")) };
    const dialer = new PolicyDialer(failing, true, { limits: { open: 1, perSecond: 0, burst: 9 } });
    for (let i = 0; i < 3; i++)
      expect(await failure(dialer.connect({ host: PUBLIC, port: 80 }, { signal }))).toMatchObject({
        code: "ECONNREFUSED",
      });
    expect(last(dialer)).toMatchObject({
      verdict: "allowed",
      error: "ECONNREFUSED",
      endedAt: expect.any(Date),
    });
  });

  it.each<[string, (() => unknown) | undefined, string]>([
    ["rejects", () => Promise.reject(new Error("the proxy is down")), "the proxy is down"],
    [
      "throws",
      () => {
        throw new TypeError("x is not a function");
      },
      "x is not a function",
    ],
    ["throws a text", () => Promise.reject("no"), "no"],
    ["throws nothing", () => Promise.reject(), "it threw undefined"],
    ["throws much", () => Promise.reject(new Error("x".repeat(5000))), "x".repeat(400)],
    [
      "returns nothing",
      () => undefined,
      "the dialer's connect must resolve to { readable, writable }, two streams that nobody else uses, got undefined",
    ],
    [
      "returns a socket",
      async () => ({ write: () => {} }),
      "the dialer's connect must resolve to { readable, writable }, two streams that nobody else uses, got object",
    ],
  ])("says in its log why a dialer failed that %s", async (_what, connect, message) => {
    const dialer = new PolicyDialer({ connect } as Dialer, true, {
      limits: { open: 1, perSecond: 0, burst: 9 },
    });
    for (let i = 0; i < 2; i++) {
      await dialer.connect({ host: PUBLIC, port: 80 }, { signal }).then(
        () => expect.fail("it connected"),
        () => {},
      );
      expect(last(dialer)).toMatchObject({
        ...{ verdict: "allowed", error: "ECONNRESET", reason: "dialer failed", message },
        endedAt: expect.any(Date),
      });
    }
  });

  it.each<[string, (controller: ReadableStreamDefaultController) => void, string]>([
    ["breaks", (controller) => controller.error(new Error("the tunnel broke")), "the tunnel broke"],
    ["yields no bytes", (controller) => controller.enqueue("text"), "a connection must yield Uint8Arrays"],
  ])("says in its log why a connection of a dialer failed that %s", async (_what, pull, message) => {
    const connect = async () => ({ readable: new ReadableStream({ pull }), writable: new WritableStream() });
    const dialer = new PolicyDialer({ connect }, true);
    const { readable } = await dialer.connect({ host: PUBLIC, port: 80 }, { signal });
    await failure(readable.getReader().read());
    expect(last(dialer)).toMatchObject({
      error: "ECONNRESET",
      reason: "dialer failed",
      message,
      receivedBytes: 0,
    });
  });

  it("does not blame the dialer for what the box has cut", async () => {
    const dialer = new PolicyDialer(new EchoDialer(), true);
    const { writable } = await dialer.connect({ host: PUBLIC, port: 80 }, { signal });
    await writable.abort(new Error("the guest has reset it"));
    expect(last(dialer)).toMatchObject({ error: "ECONNRESET", endedAt: expect.any(Date) });
    expect(last(dialer)).not.toHaveProperty("reason");
  });

  it("keeps names that do not exist, each once, and not in place of connections", async () => {
    const dialer = new PolicyDialer(new EchoDialer({ "pypi.org": [PUBLIC] }), true);
    await failure(dialer.connect({ host: "10.0.0.1", port: 80 }, { signal }));
    for (let i = 0; i < 60; i++) await dialer.resolves(`name-${i}.example.com`, { signal });
    expect(await dialer.resolves("name-20.example.com", { signal })).toBe(false);
    expect(await dialer.resolves("pypi.org", { signal })).toBe(true);
    const log = dialer.log();
    expect(log).toHaveLength(51);
    expect(log[0]).toMatchObject({ host: "10.0.0.1", port: 80 });
    expect(log.filter(({ host }) => host === "name-20.example.com")).toHaveLength(1);
    expect(last(dialer)).toMatchObject({
      ...{
        host: "name-20.example.com",
        port: 0,
        verdict: "allowed",
        error: "ENOTFOUND",
        reason: "not found",
      },
      endedAt: expect.any(Date),
    });
  });

  it("says in its log why a dialer could not look a name up", async () => {
    const resolves = () => Promise.reject(new Error("no name server"));
    const dialer = new PolicyDialer({ resolves, connect: () => Promise.reject() }, true);
    await failure(dialer.resolves("pypi.org", { signal }));
    expect(last(dialer)).toMatchObject({
      ...{
        host: "pypi.org",
        port: 0,
        error: "EAI_AGAIN",
        reason: "dialer failed",
        message: "no name server",
      },
    });
  });

  it("keeps the last 200 connections", async () => {
    const dialer = new PolicyDialer(new EchoDialer(), { allow: [] });
    for (let port = 1; port <= 250; port++) await failure(dialer.connect({ host: PUBLIC, port }, { signal }));
    expect(dialer.log()).toHaveLength(200);
    expect(dialer.log()[0]).toMatchObject({ port: 51 });
    expect(last(dialer)).toMatchObject({ port: 250 });
  });

  it("passes back-pressure on", async () => {
    let pulled = 0;
    const driver: Dialer = {
      connect: async () => ({
        readable: new ReadableStream(
          {
            pull: (controller) => {
              pulled++;
              controller.enqueue(new Uint8Array(10));
            },
          },
          { highWaterMark: 0 },
        ),
        writable: new WritableStream(),
      }),
    };
    const { readable } = await new PolicyDialer(driver, true).connect({ host: PUBLIC, port: 80 }, { signal });
    const reader = readable.getReader();
    for (let i = 0; i < 3; i++) await reader.read();
    expect(pulled).toBe(3);
    await reader.cancel();
  });
});
