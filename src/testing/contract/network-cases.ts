import type { Context } from "./target.js";
import { failure } from "./tools.js";

export function networkCases(context: Context): void {
  const { it, expect } = context;

  it("has rules and a log for boxes with a network, or says that it has neither", async () => {
    const { box, client } = context;
    const hasNetwork = (await client.info()).capabilities.network === true;
    const error = await failure(box.network.update({ allow: [] }));
    if (hasNetwork && error.code !== "UNSUPPORTED") {
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      expect(error.message).toContain("was created without a network");
    } else {
      expect(error).toMatchObject({ code: "UNSUPPORTED" });
      expect(await failure(box.network.log())).toMatchObject({ code: "UNSUPPORTED" });
    }
    expect((await box.refresh()).network).toBe(false);
  });

  it.each([true, { allow: ["pypi.org"] }])("gives a box the network %j, or says why not", async (network) => {
    const { client, target } = context;
    const options = { memoryMb: 256, network };
    if ((await client.info()).capabilities.network === true) {
      await using box = await client.create(target.image, options);
      expect((await box.refresh()).network).toEqual(network);
    } else {
      expect(await failure(client.create(target.image, options))).toMatchObject({ code: "UNSUPPORTED" });
    }
  });

  it("lets boxes of one LAN connect by name, and to nothing else without a rule", async () => {
    const { client, target } = context;
    const options = { memoryMb: 256, network: { allow: [], lan: "contract" } };
    if ((await client.info()).capabilities.network !== true) {
      expect(await failure(client.create(target.image, options))).toMatchObject({ code: "UNSUPPORTED" });
      return;
    }
    await using server = await client.create(target.image, { ...options, name: "contract-lan-server" });
    await using box = await client.create(target.image, options);
    await using stranger = await client.create(target.image, {
      ...options,
      network: { allow: [], lan: "another" },
    });
    await server.spawn("nc -l -s 127.0.0.1 -p 4000 -e echo hello", { detached: true });
    await server.ports.waitFor(4000);
    const fetchFrom = async (from: typeof box, place: string) =>
      (await from.exec(`wget -q -T 10 -O - http://${place}/`, { stderr: "stdout" })).stdout;
    expect(await fetchFrom(stranger, "contract-lan-server:4000")).toMatch(/unreachable/);
    expect(await fetchFrom(box, "contract-lan-server.internal:4001")).toMatch(/refused/);
    const { stdout } = await box.exec("nc -w 10 contract-lan-server 4000 < /dev/null");
    expect(stdout).toBe("hello\n");
    expect(await fetchFrom(box, "10.0.0.1")).toMatch(/unreachable/);
    expect(await box.network.log()).toMatchObject([
      { host: "contract-lan-server.internal", port: 4001, verdict: "allowed", error: "ECONNREFUSED" },
      { host: "contract-lan-server", port: 4000, verdict: "allowed", receivedBytes: 6 },
      { host: "10.0.0.1", port: 80, verdict: "denied" },
    ]);
  });

  it("refuses rules that make no sense, by name", async () => {
    const error = await failure(context.box.network.update({ deny: ["pypi.org", "http://pypi.org"] }));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain("network.deny[1]");
  });

  it("gives commands placeholders for secrets, and needs the secrets again at each start", async () => {
    const { client, target } = context;
    const secrets = { CONTRACT_KEY: { value: "the-real-value", hosts: ["api.example.com"] } };
    const name = "contract-secrets";
    const options = { name, memoryMb: 256, network: { allow: [] }, secrets };
    if ((await client.info()).capabilities.secrets !== true) {
      expect(await failure(client.create(target.image, options))).toMatchObject({ code: "UNSUPPORTED" });
      return;
    }
    // A program that trusts nobody has no use for secrets, so an image without a list of authorities is refused.
    const createIn = async (image: string) =>
      client.create(image, options).catch((error) => {
        expect(error.code).toMatch(/^(UNSUPPORTED|IMAGE_PULL_FAILED)$/);
        if (error.code === "UNSUPPORTED") expect(error.message).toContain("certificate authorities");
      });
    const created = (await createIn(target.image)) ?? (await createIn("debian"));
    if (!created) return;
    await using box = created;
    const print = async () => (await box.exec('printf %s "$CONTRACT_KEY"')).stdout;
    const first = await print();
    expect(first).toMatch(/^boxrun-secret-/);
    expect(box.info.local?.secretHosts).toEqual({ CONTRACT_KEY: ["api.example.com"] });
    const again = (hosts: string[]) =>
      client.getOrCreate(name, box.info.image, { secrets: { CONTRACT_KEY: { value: "other", hosts } } });
    expect((await again(["API.example.com."])).id).toBe(box.id);
    const refused = await failure(again(["api.example.com", "evil.example.com"]));
    expect(refused).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(refused.message).toContain("already runs with other hosts for secrets.CONTRACT_KEY");
    await box.stop();
    expect(box.info.local?.secretHosts).toBeUndefined();
    const error = await failure(box.start());
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain("secrets.CONTRACT_KEY");
    expect((await box.refresh()).status).toBe("stopped");
    await box.start({ secrets });
    const second = await print();
    expect(second).toMatch(/^boxrun-secret-/);
    expect(second).not.toBe(first);
  });

  it.each<{ secrets: object; text: string }>([
    { secrets: { KEY: { value: "v", hosts: [] } }, text: "secrets.KEY.hosts must name 1 to 32 servers" },
    { secrets: { KEY: { value: "v", hosts: ["https://api.example.com"] } }, text: "secrets.KEY.hosts[0]" },
    { secrets: { KEY: { value: "v", hosts: ["203.0.113.7"] } }, text: "secrets.KEY.hosts[0]" },
    { secrets: { KEY: { value: "hidden\n", hosts: ["api.example.com"] } }, text: "secrets.KEY.value" },
    { secrets: { "A-B": { value: "v", hosts: ["api.example.com"] } }, text: "secrets.A-B" },
    { secrets: { KEY: { vale: "hidden", hosts: ["api.example.com"] } }, text: "secrets.KEY" },
  ])("refuses %j and says why, but not the value", async ({ secrets, text }) => {
    const { client, target } = context;
    const options = { network: true, secrets: secrets as never };
    const error = await failure(client.create(target.image, options));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain(text);
    expect(error.message).not.toContain("hidden");
  });

  it("refuses secrets without a network, and a secret that is in env, too", async () => {
    const { client, target } = context;
    const secrets = { KEY: { value: "v", hosts: ["api.example.com"] } };
    for (const options of [{ secrets }, { secrets, network: true, env: { KEY: "other" } }])
      expect(await failure(client.create(target.image, options))).toMatchObject({
        code: "VALIDATION_ERROR",
      });
  });
}
