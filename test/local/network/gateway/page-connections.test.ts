import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { DialTarget } from "../../../../src/network/dialer.js";
import { PolicyDialer } from "../../../../src/network/policy-dialer.js";
import { exchange, lines, NAME, signal, usePage } from "./page.js";

const GET = lines("GET /a?b=c HTTP/1.1", `Host: ${NAME}`);

const page = usePage();
/** Answer of a site that lets no page read it. */
const unreadable = () => Promise.reject(new TypeError("Failed to fetch"));

/** Connects to a port of the server, behind rules that allow all. */
async function connectTo(port: number) {
  const policy = new PolicyDialer(page.dialer, true);
  const { readable, writable } = await policy.connect({ host: NAME, port }, { signal });
  return { policy, reader: readable.getReader(), writer: writable.getWriter() };
}

describe("a connection of a box in a page", () => {
  it.each<[DialTarget, reason: string]>([
    [{ host: NAME, port: 22 }, "a page reaches ports 80 and 443 alone, and others by local.relay"],
    [{ host: "localhost", port: 80 }, "a page reaches public names alone"],
    [{ host: "printer", port: 80 }, "a page reaches public names alone"],
    [{ host: "printer.local", port: 443 }, "a page reaches public names alone"],
    [{ host: "router.lan", port: 80 }, "a page reaches public names alone"],
    [{ host: "page.example", port: 80 }, "the page's own origin"],
  ])("to %j is refused before anything is fetched", async (target, reason) => {
    const policy = new PolicyDialer(page.dialer, true);
    await expect(policy.connect(target, { signal })).rejects.toMatchObject({ code: "EACCES" });
    expect(policy.log()).toMatchObject([{ ...target, verdict: "denied", rule: reason }]);
    expect(page.asked).toEqual([]);
  });

  it("has in its log why its last request was refused, and goes on", async () => {
    const policy = new PolicyDialer(page.dialer, true);
    page.answer = () => Promise.reject(new TypeError("Failed to fetch"));
    expect(await exchange(policy, GET)).toMatch(/^HTTP\/1.1 502 /);
    page.answer = () => new Response("hello");
    expect(await exchange(policy, lines("GET / HTTP/1.1", "Host: elsewhere.example"))).toMatch(/ 421 /);
    expect(await exchange(policy, GET)).toMatch(/ 200 /);
    expect(policy.log()).toMatchObject([
      {
        verdict: "allowed",
        reason: "refused",
        message: expect.stringMatching(
          /^no answer from http:\/\/api.example.com by the page's fetch. The site/,
        ),
      },
      { verdict: "allowed", reason: "refused", message: expect.stringContaining("elsewhere.example") },
      { verdict: "allowed" },
    ]);
    expect(policy.log()[2]).not.toHaveProperty("reason");
  });

  it("loses the reason when its next request is answered, or when it is reset for another one", async () => {
    const { policy, reader, writer } = await connectTo(80);
    page.answer = unreadable;
    const ask = async (status: number) => {
      writer.write(Buffer.from(GET)).catch(() => {});
      for (let text = ""; !text.includes(` ${status} `); )
        text += Buffer.from((await reader.read()).value!).toString("latin1");
    };
    await ask(502);
    expect(policy.log()).toMatchObject([{ reason: "refused", message: expect.stringMatching(/^no answer/) }]);
    page.answer = () => new Response(null, { status: 204 });
    await ask(204);
    expect(policy.log()[0]).not.toHaveProperty("reason");
    expect(policy.log()[0]).not.toHaveProperty("message");

    page.answer = unreadable;
    await ask(502);
    policy.update({ deny: [NAME] });
    await expect(reader.read()).rejects.toThrow("the rules have changed");
    expect(policy.log()).toMatchObject([{ rule: `deny[0] ${NAME}`, error: "ECONNRESET" }]);
    expect(policy.log()[0]).not.toHaveProperty("message");
  });

  it("keeps the reason when the program resets it, as some do that do not read on", async () => {
    const { policy, reader, writer } = await connectTo(80);
    page.answer = unreadable;
    writer.write(Buffer.from(GET)).catch(() => {});
    await reader.read();
    await writer.abort(new Error("reset")).catch(() => {});
    await reader.cancel(new Error("reset")).catch(() => {});
    expect(policy.log()).toMatchObject([
      { error: "ECONNRESET", reason: "refused", message: expect.stringMatching(/^no answer/) },
    ]);
  });

  it("has no reason in its log when a program leaves without a byte", async () => {
    const { policy, reader, writer } = await connectTo(443);
    await writer.close();
    while (!(await reader.read()).done);
    await vi.waitFor(() => expect(policy.log()).toMatchObject([{ endedAt: {} }]));
    expect(policy.log()[0]).not.toHaveProperty("reason");
  });

  it("has in its log why TLS with a program failed", async () => {
    const { policy, reader, writer } = await connectTo(443);
    await writer.write(Buffer.from(GET));
    await writer.close();
    while (!(await reader.read()).done);
    await vi.waitFor(() =>
      expect(policy.log()).toMatchObject([
        { verdict: "allowed", reason: "refused", message: expect.stringMatching(/^TLS: /), endedAt: {} },
      ]),
    );
  });

  it("is cut, with the reason in its log, when the page cannot load its code for TLS", async () => {
    const server = "../../../../src/local/network/tls/server.js";
    vi.doMock(server, () => {
      throw new TypeError("Failed to fetch dynamically imported module");
    });
    onTestFinished(() => vi.doUnmock(server));
    const { policy, reader, writer } = await connectTo(443);
    await expect(reader.read()).rejects.toThrow();
    await expect(writer.write(Buffer.from("hello"))).rejects.toThrow();
    expect(policy.log()).toMatchObject([
      {
        ...{ verdict: "allowed", error: "ECONNRESET", reason: "refused" },
        message: expect.stringMatching(/code for TLS; reload the page: /),
      },
    ]);
    expect(page.asked).toEqual([]);
  });

  it("to an address that is not public never gets here", async () => {
    const policy = new PolicyDialer(page.dialer, true);
    for (const host of ["192.168.1.1", "169.254.169.254"])
      await expect(policy.connect({ host, port: 80 }, { signal })).rejects.toMatchObject({ code: "EACCES" });
    expect(policy.log()).toMatchObject([
      { verdict: "denied", rule: "address is not public" },
      { verdict: "denied", rule: "address is not public" },
    ]);
  });

  it("to a name that fetch takes for an address is refused", async () => {
    for (const host of ["0x7f.1", "2130706433.", "127.1"])
      await expect(page.dialer.connect({ host, port: 80 }, { signal })).rejects.toMatchObject({
        code: "EACCES",
      });
  });

  it("to a public address is one that its rules decide", async () => {
    const target = { host: "203.0.113.7", port: 80 };
    const policy = new PolicyDialer(page.dialer, { allow: ["203.0.113.0/24:80"] });
    const { readable } = await policy.connect(target, { signal });
    await readable.cancel();
    expect(policy.isOpen).toBe(false);
    expect(policy.denialOf(target)).toBeUndefined();
    expect(policy.denialOf({ host: "a.example", port: 80 })).toBe("not in allow");
    expect(new PolicyDialer(page.dialer, true).isOpen).toBe(true);
    expect(new PolicyDialer(page.dialer, true, { bounds: { deny: ["a.example"] } }).isOpen).toBe(false);
  });
});
