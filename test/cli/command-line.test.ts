import { describe, expect, it } from "vitest";
import { parseCommandLine } from "../../src/cli/command-line.js";

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
