import { describe, expect, it } from "vitest";
import { parseNetwork } from "../../src/backend/validate.js";
import { parseRule, parseRules, requireRules } from "../../src/network/rules.js";

const hostOf = (text: string) => parseRule(text, "rule").host;

describe("rules of a network", () => {
  it.each([
    ["pypi.org", { type: "name", name: "pypi.org" }, undefined],
    ["PyPI.org.:443", { type: "name", name: "pypi.org" }, { first: 443, last: 443 }],
    ["*.pythonhosted.org:443", { type: "below", suffix: ".pythonhosted.org" }, { first: 443, last: 443 }],
    ["bücher.example", { type: "name", name: "xn--bcher-kva.example" }, undefined],
    ["*", { type: "any" }, undefined],
    ["*:80-443", { type: "any" }, { first: 80, last: 443 }],
    ["host.internal:5432", { type: "name", name: "host.internal" }, { first: 5432, last: 5432 }],
    ["db", { type: "name", name: "db" }, undefined],
  ])("reads %s", (text, host, ports) => expect(parseRule(text, "rule")).toEqual({ host, ports }));

  it.each([
    ["203.0.113.0/24:8000-8100", 32, 24, { first: 8000, last: 8100 }],
    ["10.0.0.1", 32, 32, undefined],
    ["[2001:db8::/32]:443", 128, 32, { first: 443, last: 443 }],
    ["[::1]", 128, 128, undefined],
    ["2001:db8::1", 128, 128, undefined],
  ])("reads the addresses of %s", (text, width, prefix, ports) => {
    expect(parseRule(text, "rule")).toMatchObject({ host: { type: "block", block: { width, prefix } } });
    expect(parseRule(text, "rule").ports).toEqual(ports);
  });

  it.each([
    ["https://pypi.org", 'leave out "https://"'],
    ["pypi.org/simple", 'leave out "/simple"'],
    ["pypi.org:0", "1 to 65535"],
    ["pypi.org:65536", "1 to 65535"],
    ["pypi.org:90-80", "1 to 65535"],
    ["pypi.org:", "1 to 65535"],
    ["pypi.org:http", "1 to 65535"],
    ["203.0.113.7/24", "the block begins at 203.0.113.0/24"],
    ["pypi.*", "a star stands for"],
    ["py*.org", "a star stands for"],
    ["*.*.org", "a star stands for"],
    ["*.", "a star stands for"],
    ["**", "a star stands for"],
    ["0x7f.1", "four decimal numbers"],
    ["2130706433", "four decimal numbers"],
    ["017700000001", "four decimal numbers"],
    ["127.1", "four decimal numbers"],
    ["１２７.0.0.1", "got"],
    ["::1%lo", "got"],
    ["[pypi.org]:443", "got"],
    ["user@pypi.org", "got"],
    ["exa%6dple.com", "got"],
    ["-pypi.org", "got"],
    ["pypi..org", "got"],
    [" pypi.org", "got"],
    [`${"a".repeat(64)}.org`, "got"],
    ["10.0.0.0/33", "got"],
  ])("refuses %j, and says what to do", (text, hint) => {
    const parse = () => parseRules({ allow: ["pypi.org", text] });
    expect(parse).toThrow(
      `network.allow[1] must be a name, an address or a CIDR, with optional ports, got ${JSON.stringify(text)}`,
    );
    expect(parse).toThrow(hint);
    expect(parse).toThrow(expect.objectContaining({ code: "VALIDATION_ERROR" }));
  });

  it.each(["localhost:80", "*.localhost", "127.0.0.1:80", "127.1.0.0/16", "[::1]:80"])(
    "refuses %j, the box's own loopback, in allow alone",
    (text) => {
      expect(() => parseRules({ allow: ["203.0.113.7", text] })).toThrow(
        expect.objectContaining({
          code: "VALIDATION_ERROR",
          message: expect.stringContaining(`got ${JSON.stringify(text)}`),
          hint: '"host.internal:PORT" is a port of the machine that runs the box',
        }),
      );
      expect(() => parseRules({ deny: [text] })).not.toThrow();
    },
  );

  it("takes an address of the loopback to which a name may lead", () => {
    expect(() => parseRules({ allow: ["db.corp", "127.0.0.1:5432"] })).not.toThrow();
  });

  it.each([
    [{ allow: Array(1001).fill("pypi.org") }, "network.allow must be at most 1000 rules"],
    [{ lan: "a/b\n" }, "network.lan must be 1 to 63 letters"],
  ])("are bounded, and a LAN has a name", (network, message) => {
    expect(() => parseNetwork(network)).toThrow(message);
  });

  it("names a rule by its place", () => {
    const { allow, deny } = parseRules({ deny: ["a.example", "*.b.example:80"] });
    expect(allow).toBeUndefined();
    expect(deny.map(({ title }) => title)).toEqual(["deny[0] a.example", "deny[1] *.b.example:80"]);
  });

  it("has nothing against a network without rules", () => {
    for (const network of [true, false, {}, { lan: "shop" }])
      expect(() => requireRules(network)).not.toThrow();
  });

  it("takes no name for an address, nor the other way round", () => {
    expect(hostOf("1.2.3.4")).toMatchObject({ type: "block" });
    expect(hostOf("1.2.3.4.example")).toMatchObject({ type: "name" });
  });
});
