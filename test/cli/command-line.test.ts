import { describe, expect, it } from "vitest";
import { parseCommandLine } from "../../src/cli/command-line.js";
import { inFlags } from "../../src/cli/flags.js";

const run = (...options: string[]) => parseCommandLine(["run", ...options, "tiny", "--", "true"]);

describe("the network on the command line", () => {
  it.each<[string[], unknown]>([
    [["--network"], true],
    [
      ["--network", "--allow", "pypi.org", "--allow", "*.pythonhosted.org:443"],
      { allow: ["pypi.org", "*.pythonhosted.org:443"] },
    ],
    [["--allow", "pypi.org"], { allow: ["pypi.org"] }],
    [["--deny", "203.0.113.0/24"], { deny: ["203.0.113.0/24"] }],
  ])("of a box: %j", (options, network) => expect(run(...options)).toMatchObject({ box: { network } }));

  it("is none unless it is asked for", () => {
    expect(run()).not.toHaveProperty("box.network");
    expect(parseCommandLine(["serve"])).not.toHaveProperty("network");
  });

  it.each<[string[], unknown]>([
    [["--allow-network"], {}],
    [["--allow-network", "--allow", "*", "--deny", "*.corp"], { allow: ["*"], deny: ["*.corp"] }],
  ])("of a server: %j", (options, network) =>
    expect(parseCommandLine(["serve", ...options])).toMatchObject({ network }),
  );

  it.each<[string[], string]>([
    [
      ["run", "--allow", "https://pypi.org", "tiny", "--", "true"],
      '--allow must be a name, an address or a CIDR, with optional ports, got "https://pypi.org"',
    ],
    [["run", "--deny", "pypi.org:0", "tiny", "--", "true"], "--deny must be"],
    [["run", "--allow-network", "tiny", "--", "true"], "run does not take --allow-network"],
    [["serve", "--allow", "pypi.org"], "--allow-network"],
    [["serve", "--network"], "serve does not take --network"],
    [["serve", "--allow-network", "--deny", "1.2.3"], "--deny must be"],
  ])("refuses %j", (args, message) => expect(() => parseCommandLine(args)).toThrow(message));
});

describe("ports on the command line", () => {
  it.each([
    ["8080:80", { hostPort: 8080, port: 80 }],
    ["80", { hostPort: 80, port: 80 }],
    ["0:80", { hostPort: 0, port: 80 }],
  ])("%s is a port of this machine and one of the box", (text, port) => {
    expect(run("-p", text)).toMatchObject({ publish: [port] });
    expect(parseCommandLine(["forward", "web", text])).toMatchObject({ box: "web", ports: [port] });
  });

  it.each(["", "80:", "a", "65536:80", "80:0", "1:2:3", "-1"])("%j is none", (text) => {
    expect(() => run(`--publish=${text}`)).toThrow(/--publish must/);
  });

  it.each([
    [".:/work", { hostPath: process.cwd(), guestPath: "/work" }],
    ["/a:/b:ro", { hostPath: "/a", guestPath: "/b", readonly: true }],
    ["/a:/b:rw", { hostPath: "/a", guestPath: "/b" }],
    ["/with:colon:/b", { hostPath: "/with:colon", guestPath: "/b" }],
  ])("parses the volume %s", (text, volume) => {
    expect(run("-v", text)).toMatchObject({ box: { volumes: [volume] } });
  });

  it.each(["/a", "/a:b", ":/b", "/a:/b:rx"])("refuses the volume %s", (text) => {
    expect(() => run("-v", text)).toThrow(/--volume must be HOST_DIR:BOX_DIR/);
  });

  it("are needed by forward, and a box", () => {
    for (const args of [["forward"], ["forward", "web"]])
      expect(() => parseCommandLine(args)).toThrow(/forward needs a box and a port/);
  });
});

describe("secrets on the command line", () => {
  it("are names of variables, and hosts", () => {
    const secrets = ["--secret", "API_KEY=api.example.com,*.example.net", "--secret", "B=b.example.com"];
    expect(run("--allow", "*", ...secrets)).toMatchObject({
      secrets: [
        { name: "API_KEY", hosts: ["api.example.com", "*.example.net"] },
        { name: "B", hosts: ["b.example.com"] },
      ],
    });
    expect(run()).toMatchObject({ secrets: [] });
  });

  it.each(["API_KEY", "API_KEY=", "API_KEY=a,,b", "=a.example.com", "A-B=a.example.com"])(
    "%j is none, and is not shown",
    (text) => {
      const parse = () => run("--network", `--secret=${text}`);
      expect(parse).toThrow(/^--secret must be NAME=HOST\[,HOST\]\.\.\., such as API_KEY=api\.example\.com;/);
    },
  );

  it("need a network, and a name of their own each", () => {
    expect(() => run("--secret", "A=a.example.com")).toThrow("--secret needs --network or --allow");
    const twice = ["--secret", "A=a.example.com", "--secret", "A=b.example.com"];
    expect(() => run("--network", ...twice)).toThrow("--secret A is given twice");
  });

  it.each([
    ["secrets.A.hosts[0] must be a name", "a host of --secret A must be a name"],
    ["secrets.A.hosts must name 1 to 32 servers", "--secret A must name 1 to 32 servers"],
    ["secrets.A.value must be 1 to 8192", "the variable A must be 1 to 8192"],
    ["secrets.PATH cannot have the name", "--secret PATH cannot have the name"],
  ])("are what an error speaks of: %j", (message, shown) => expect(inFlags(message)).toBe(shown));
});
