import { describe, expect, it } from "vitest";
import type { NetworkOptions } from "../../src/contract/types.js";
import { NetworkPolicy } from "../../src/network/policy.js";

/** Decides about a connection to `host`, which has `address`. Returns the rule that denies it, or "allowed". */
function decide(network: true | NetworkOptions, host: string, port: number, address = host): string {
  const verdict = new NetworkPolicy(network).decide(host, port);
  return verdict.allowed ? (verdict.refusalOf(address) ?? "allowed") : verdict.rule;
}

const PUBLIC = "93.184.216.34";

describe("the policy of a network", () => {
  it.each<[string, number, string, string]>([
    ["pypi.org", 443, PUBLIC, "allowed"],
    ["pypi.org", 443, "2606:4700::1111", "allowed"],
    [PUBLIC, 80, PUBLIC, "allowed"],
    ["pypi.org", 443, "127.0.0.1", "address is not public"],
    ["pypi.org", 443, "::ffff:127.0.0.1", "address is not public"],
    ["pypi.org", 443, "::1", "address is not public"],
    ["pypi.org", 443, "0.0.0.0", "address is not public"],
    ["pypi.org", 443, "64:ff9b::a9fe:a9fe", "address is not public"],
    ["metadata.google.internal", 80, "169.254.169.254", "address is not public"],
    ["pypi.org", 443, "fe80::1%eth0", "not an address"],
    ["pypi.org", 443, "2130706433", "not an address"],
    ["169.254.169.254", 80, "", "address is not public"],
    ["192.168.1.1", 80, "", "address is not public"],
    ["pypi.org", 25, PUBLIC, "port 25"],
    ["host.internal", 5432, "127.0.0.1", "host.internal needs a rule of its own"],
    ["2130706433", 80, "127.0.0.1", "not a name or an address"],
    ["0x7f.1", 80, "127.0.0.1", "not a name or an address"],
    ["017700000001", 80, "127.0.0.1", "not a name or an address"],
    ["127.1", 80, "127.0.0.1", "not a name or an address"],
    ["PYPI.org", 443, PUBLIC, "not a name or an address"],
    ["", 443, PUBLIC, "not a name or an address"],
  ])("by default says of %s port %i at %s: %s", (host, port, address, verdict) => {
    expect(decide(true, host, port, address || host)).toBe(verdict);
    expect(decide({}, host, port, address || host)).toBe(verdict);
  });

  const allow = [
    "pypi.org",
    "*.pythonhosted.org:443",
    "203.0.113.0/24:8000-8100",
    "10.0.0.5:5432",
    "db.corp",
  ];
  it.each<[string, number, string, string]>([
    ["pypi.org", 80, PUBLIC, "allowed"],
    ["files.pythonhosted.org", 443, PUBLIC, "allowed"],
    ["a.b.pythonhosted.org", 443, PUBLIC, "allowed"],
    ["pythonhosted.org", 443, PUBLIC, "not in allow"],
    ["evilpythonhosted.org", 443, PUBLIC, "not in allow"],
    ["files.pythonhosted.org", 80, PUBLIC, "not in allow"],
    ["pypi.org.evil.example", 443, PUBLIC, "not in allow"],
    ["pypi.org", 443, "10.0.0.5", "address is not public"],
    ["203.0.113.9", 8100, "203.0.113.9", "allowed"],
    ["203.0.113.9", 8101, "203.0.113.9", "not in allow"],
    ["other.example", 8000, "203.0.113.9", "not in allow"],
    ["db.corp", 5432, "10.0.0.5", "allowed"],
    ["db.corp", 5433, "10.0.0.5", "address is not public"],
    ["10.0.0.5", 5432, "10.0.0.5", "allowed"],
    ["10.0.0.6", 5432, "10.0.0.6", "address is not public"],
    [PUBLIC, 443, PUBLIC, "not in allow"],
    ["host.internal", 5432, "127.0.0.1", "host.internal needs a rule of its own"],
  ])("with allow says of %s port %i at %s: %s", (host, port, address, verdict) =>
    expect(decide({ allow }, host, port, address)).toBe(verdict),
  );

  const deny = ["*.example.com", "evil.example:80", "198.51.100.0/24", "*:22", "1.1.1.1:53"];
  it.each<[string, number, string, string]>([
    ["a.example.com", 443, PUBLIC, "deny[0] *.example.com"],
    ["example.com", 443, PUBLIC, "allowed"],
    ["evil.example", 80, PUBLIC, "deny[1] evil.example:80"],
    ["evil.example", 443, PUBLIC, "allowed"],
    ["pypi.org", 443, "198.51.100.7", "deny[2] 198.51.100.0/24"],
    ["198.51.100.7", 443, "198.51.100.7", "deny[2] 198.51.100.0/24"],
    ["pypi.org", 443, "64:ff9b::198.51.100.7", "deny[2] 198.51.100.0/24"],
    ["pypi.org", 443, "2002:c633:6407::1", "deny[2] 198.51.100.0/24"],
    ["pypi.org", 22, PUBLIC, "deny[3] *:22"],
    [PUBLIC, 22, PUBLIC, "deny[3] *:22"],
    ["one.one.one.one", 53, "1.1.1.1", "deny[4] 1.1.1.1:53"],
  ])("with deny says of %s port %i at %s: %s", (host, port, address, verdict) => {
    expect(decide({ deny }, host, port, address)).toBe(verdict);
    expect(decide({ deny, allow: ["*", "0.0.0.0/0", host] }, host, port, address)).toBe(verdict);
  });

  it.each<[NetworkOptions, string, number, string, string]>([
    [{ allow: [] }, "pypi.org", 443, PUBLIC, "not in allow"],
    [{ allow: ["*"] }, "pypi.org", 443, PUBLIC, "allowed"],
    [{ allow: ["*"] }, "pypi.org", 443, "10.0.0.1", "address is not public"],
    [{ allow: ["*"] }, "10.0.0.1", 443, "10.0.0.1", "address is not public"],
    [{ allow: ["*"] }, "host.internal", 80, "127.0.0.1", "host.internal needs a rule of its own"],
    [{ allow: ["*.internal"] }, "host.internal", 80, "127.0.0.1", "host.internal needs a rule of its own"],
    [{ allow: ["*", "192.168.1.5"] }, "192.168.1.5", 80, "192.168.1.5", "allowed"],
    [{ allow: ["0.0.0.0/0"] }, PUBLIC, 80, PUBLIC, "allowed"],
    [{ allow: ["0.0.0.0/0"] }, "169.254.169.254", 80, "169.254.169.254", "address is not public"],
    [{ allow: ["*", "::/0"] }, "pypi.org", 80, "fd00::1", "address is not public"],
    [{ allow: ["*", "fd00::/8"] }, "pypi.org", 80, "fd00::1", "allowed"],
    [{ allow: ["mail.example"] }, "mail.example", 25, PUBLIC, "port 25"],
    [{ allow: ["mail.example:1-100"] }, "mail.example", 25, PUBLIC, "port 25"],
    [{ allow: ["mail.example:25"] }, "mail.example", 25, PUBLIC, "allowed"],
    [{ allow: ["host.internal:5432"] }, "host.internal", 5432, "127.0.0.1", "allowed"],
    [{ allow: ["host.internal:5432"] }, "host.internal", 5432, "::1", "allowed"],
    [
      { allow: ["host.internal:5432"] },
      "host.internal",
      5433,
      "127.0.0.1",
      "host.internal needs a rule of its own",
    ],
    [{ allow: ["host.internal"] }, "host.internal", 80, PUBLIC, "address is not the host's"],
    [{ allow: ["host.internal"] }, "sub.host.internal", 80, "127.0.0.1", "not in allow"],
    [{ allow: ["host.internal", "*"] }, "localtest.example", 80, "127.0.0.1", "address is not public"],
    [
      { allow: ["host.internal"], deny: ["host.internal:80"] },
      "host.internal",
      80,
      "127.0.0.1",
      "deny[0] host.internal:80",
    ],
    [
      { allow: ["host.internal"], deny: ["127.0.0.0/8"] },
      "host.internal",
      80,
      "127.0.0.1",
      "deny[0] 127.0.0.0/8",
    ],
  ])("with %j says of %s port %i at %s: %s", (network, host, port, address, verdict) =>
    expect(decide(network, host, port, address)).toBe(verdict),
  );

  it.each<[true | NetworkOptions, string, boolean]>([
    [true, "pypi.org", true],
    [true, "host.internal", false],
    [true, "2130706433", false],
    [{ allow: ["pypi.org:443"] }, "pypi.org", true],
    [{ allow: ["pypi.org:443"] }, "secret.evil.example", false],
    [{ allow: ["10.0.0.0/8"] }, "secret.evil.example", false],
    [{ deny: ["evil.example"] }, "evil.example", false],
    [{ deny: ["evil.example:80"] }, "evil.example", true],
  ])("with %j, may %s be looked up: %s", (network, name, may) =>
    expect(new NetworkPolicy(network).mayLookUp(name)).toBe(may),
  );
});
