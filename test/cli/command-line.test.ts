import { describe, expect, it } from "vitest";
import { parseCommandLine } from "../../src/cli/command-line.js";
import { inFlags } from "../../src/cli/flags.js";
import { boxJson, boxTable } from "../../src/cli/list.js";
import type { BoxInfo } from "../../src/index.js";

const run = (...options: string[]) => parseCommandLine(["run", ...options, "tiny", "--", "true"]);

describe("boxrun preview", () => {
  it("takes a folder, and origins of pages", () => {
    const args = ["preview", "out", "--allow-origin", "https://app.example.com"];
    const allowOrigins = ["https://app.example.com"];
    expect(parseCommandLine(args)).toEqual({ name: "preview", folder: "out", allowOrigins });
    expect(parseCommandLine(["preview", "out"])).toEqual({ name: "preview", folder: "out" });
    for (const wrong of [["preview"], ["preview", "a", "b"]])
      expect(() => parseCommandLine(wrong)).toThrow("preview needs one folder");
    expect(() => parseCommandLine(["preview", "out", "--allow-origin", '"><script>'])).toThrow(
      "--allow-origin",
    );
  });
});

describe("boxrun site", () => {
  it("takes the addresses that its page uses, as they are", () => {
    const args = [
      "--preview-url",
      "https://*.preview.example.com",
      "--relay-url",
      "wss://r.example.com/?t=1",
    ];
    expect(parseCommandLine(["site", "out", ...args])).toEqual({
      name: "site",
      folder: "out",
      images: ["tiny"],
      settings: { previewUrl: "https://*.preview.example.com", relay: "wss://r.example.com/?t=1" },
    });
    for (const [option, url] of [
      ["--preview-url", "http://127.0.0.1:5174/"],
      ["--relay-url", "ws://localhost:9090/v1/relay/"],
    ])
      expect(parseCommandLine(["site", "out", option!, url!])).toMatchObject({ name: "site" });
    expect(parseCommandLine(["site", "out"])).toMatchObject({ settings: {} });
    expect(() => parseCommandLine(["assets", "out", "--preview-url", "https://a.example.com/"])).toThrow(
      "assets does not take --preview-url",
    );
  });

  it.each([
    ["--preview-url", "preview.example.com", "--preview-url must be a URL such as"],
    ["--preview-url", "", "--preview-url must not be empty"],
    ["--preview-url", "https://example.com/preview/", "--preview-url must be an origin"],
    ["--preview-url", "https://example.com/?a", "--preview-url must be an origin"],
    ["--preview-url", "http://example.com/", "--preview-url must begin with https://"],
    ["--preview-url", "javascript:alert(1)", "--preview-url must be an origin"],
    ["--relay-url", "r.example.com", "--relay-url must be a URL"],
    [
      "--relay-url",
      "https://r.example.com/s3cret/",
      "--relay-url must begin with wss:, got https://r.example",
    ],
    ["--relay-url", "wss://r.example.com/v1/relay?token=s3cret", 'the path of --relay-url must end in "/"'],
    ["--relay-url", "ws://r.example.com/s3cret/", "--relay-url must begin with wss: for another machine"],
  ])("refuses %s %s", (option, url, message) => {
    const parse = () => parseCommandLine(["site", "out", `${option}=${url}`]);
    expect(parse).toThrow(message);
    expect(parse).not.toThrow(/s3cret/);
  });
});

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

  it.each<[string[], object]>([
    [["--relay"], { relay: {} }],
    [["--relay-token", "s3cret"], { relay: { token: "s3cret" } }],
    [["--relay", "--allow", "pypi.org"], { relay: { allow: ["pypi.org"] } }],
    [
      ["--relay", "--allow-network", "--deny", "*.corp"],
      { relay: { deny: ["*.corp"] }, network: { deny: ["*.corp"] } },
    ],
  ])("of a relay: %j", (options, parsed) => {
    expect(parseCommandLine(["serve", ...options])).toEqual({ name: "serve", ...parsed });
  });

  it.each<[string[], string]>([
    [
      ["run", "--allow", "https://pypi.org", "tiny", "--", "true"],
      '--allow must be a name, an address or a CIDR, with optional ports, got "https://pypi.org"',
    ],
    [["run", "--deny", "pypi.org:0", "tiny", "--", "true"], "--deny must be"],
    [["run", "--allow-network", "tiny", "--", "true"], "run does not take --allow-network"],
    [["serve", "--allow", "pypi.org"], "--allow-network"],
    [["serve", "--allow", "pypi.org"], "--relay"],
    [["serve", "--network"], "serve does not take --network"],
    [["serve", "--allow-network", "--deny", "1.2.3"], "--deny must be"],
    [
      ["run", "--allow", "localhost:80", "tiny", "--", "true"],
      '--allow names the loopback of the box itself, which needs no rule, got "localhost:80" ("host.internal:PORT" is a port of the machine that runs the box)',
    ],
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

  it.each([
    ["/a", "BOX_DIR is missing"],
    [":/b", "HOST_DIR is missing"],
    ["/a:b", 'BOX_DIR must be an absolute path in the box, got "b"'],
    ["/a:b:ro", 'BOX_DIR must be an absolute path in the box, got "b"'],
    ["/a:ro", 'BOX_DIR must be an absolute path in the box, got "ro"'],
    ["/a:/b:rx", 'the part after BOX_DIR must be ro or rw, got "rx"'],
    ["/a:/b:", 'the part after BOX_DIR must be ro or rw, got ""'],
  ])("refuses the volume %s, and says which part is wrong", (text, why) => {
    const must =
      "--volume must be HOST_DIR:BOX_DIR, HOST_DIR:BOX_DIR:ro or HOST_DIR:BOX_DIR:rw, such as .:/work";
    expect(() => run("-v", text)).toThrow(`${must}, got ${text}: ${why}`);
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

describe("errors on the command line", () => {
  it.each([
    ["memoryMb must be an integer", "--memory must be an integer"],
    [
      "POST /v1/boxes: volumes must be at most 16, got 17",
      "POST /v1/boxes: --volume must be at most 16, got 17",
    ],
    [
      'volumes[1].guestPath must not be in /dev, got "/dev"',
      'BOX_DIR of --volume must not be in /dev, got "/dev"',
    ],
    ["volumes: this server lets no box mount", "--volume: this server lets no box mount"],
    ["network.deny[2] must be a name", "--deny must be a name"],
  ])("speak of options: %j", (message, shown) => expect(inFlags(message)).toBe(shown));

  it.each([
    "boxes get no directories here; start boxrun serve with --allow-volumes DIR",
    'there is no local image "memoryMb"',
    'there is no file "/srv/volumes memoryMb"',
    "upload of /srv/memoryMb: no such file",
    "a file in /data/my-volumes/hostPort-1 is gone",
  ])("leave paths, texts in quotes and other options as they are: %j", (message) =>
    expect(inFlags(message)).toBe(message),
  );

  it("call the directory of a volume what the user calls it", () => {
    const message = 'the hostPath of a volume must be a directory, but "/srv/volumes" does not exist';
    expect(inFlags(message)).toBe(
      'HOST_DIR of --volume must be a directory, but "/srv/volumes" does not exist',
    );
  });
});

describe("boxrun ls", () => {
  const box = (facts: Partial<BoxInfo>) => facts as BoxInfo;
  const now = Date.parse("2026-01-10T00:00:00Z");
  const at = (ago: number) => new Date(now - ago);
  const boxes = [
    box({ id: "box_1", name: "web", image: "debian", status: "running", createdAt: at(90_000) }),
    box({ id: "box_22", name: null, image: "t\u001b[2J", status: "stopped", createdAt: at(50 * 3_600_000) }),
    box({ id: "box_3", name: "a\tb", image: "tiny", status: "error", createdAt: at(-5) }),
  ];

  it("prints a line for each box", () => {
    expect(boxTable(boxes, now)).toBe(
      [
        "ID      NAME  IMAGE   STATUS   AGE",
        "box_1   web   debian  running  90s",
        "box_22  -     t\ufffd[2J   stopped  2d",
        "box_3   a b   tiny    error    0s",
        "",
      ].join("\n"),
    );
    expect(boxTable([], now)).toBe("ID  NAME  IMAGE  STATUS  AGE\n");
  });

  it("prints JSON that a terminal does not obey", () => {
    const json = boxJson([box({ name: "\u001b \u009b \u202e é" })]);
    expect(JSON.parse(json)).toEqual([{ name: "\u001b \u009b \u202e é" }]);
    expect(json.replaceAll("\n", "")).not.toMatch(/\p{Cc}|\p{Bidi_Control}/u);
  });

  it("lists the boxes of one place", () => {
    expect(parseCommandLine(["ls", "--json"])).toEqual({ name: "ls", json: true });
    expect(parseCommandLine(["ls", "--state", "/srv/boxes"])).toEqual({
      name: "ls",
      json: false,
      state: "/srv/boxes",
    });
    const both = ["ls", "--state", "/srv/boxes", "--server", "http://127.0.0.1:1"];
    expect(() => parseCommandLine(both)).toThrow("give one");
    expect(() => parseCommandLine(["ls", "web"])).toThrow("ls takes no arguments, got web");
  });
});

describe("the domain of previews", () => {
  it("is an option of serve alone", () => {
    const args = ["serve", "--preview-domain", "preview.example.com"];
    expect(parseCommandLine(args)).toMatchObject({ previewDomain: "preview.example.com" });
    expect(() => run("--preview-domain", "preview.example.com")).toThrow(
      "run does not take --preview-domain",
    );
    expect(() => parseCommandLine(["serve", "--preview-domain", ""])).toThrow("must not be empty");
  });
});
