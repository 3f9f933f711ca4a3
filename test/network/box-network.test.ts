import { describe, expect, it, onTestFinished } from "vitest";
import type { NetworkLogEntry } from "../../src/backend/backend.js";
import { BoxRunClient } from "../../src/index.js";
import { createHandler } from "../../src/server.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

const LOG: NetworkLogEntry[] = [
  {
    at: new Date("2026-01-01T00:00:00.000Z"),
    host: "pypi.org",
    port: 443,
    address: "151.101.0.223",
    verdict: "allowed",
    error: "ECONNRESET",
    sentBytes: 517,
    receivedBytes: 4096,
    endedAt: new Date("2026-01-01T00:00:01.500Z"),
  },
  {
    at: new Date("2026-01-01T00:00:02.000Z"),
    host: "evil.example",
    port: 80,
    verdict: "denied",
    rule: "not in allow",
    error: "EACCES",
    sentBytes: 0,
    receivedBytes: 0,
  },
  {
    at: new Date("2026-01-01T00:00:03.000Z"),
    host: "none.example",
    port: 0,
    verdict: "allowed",
    error: "ECONNRESET",
    reason: "dialer failed",
    message: "the proxy is down",
    sentBytes: 0,
    receivedBytes: 0,
    endedAt: new Date("2026-01-01T00:00:03.500Z"),
  },
];

/** A backend whose boxes have connected to something. */
function backendWithLog() {
  const backend = new FakeBackend();
  return Object.assign(backend, { network: { ...backend.network, log: async () => LOG } });
}

function clientOf(backend: FakeBackend, where: string, extensions = true) {
  const options =
    where === "here"
      ? { backend }
      : { baseUrl: "http://boxrun.internal", fetch: createHandler(backend, { extensions }) };
  const client = new BoxRunClient(options);
  onTestFinished(() => client.close());
  return client;
}

describe.each(["here", "on a server"])("the network of a box %s", (where) => {
  it("gets new rules while the box runs", async () => {
    const client = clientOf(new FakeBackend(), where);
    const box = await client.create("fake", { name: "one", network: { allow: ["pypi.org"] } });
    await box.network.update({ allow: ["pypi.org", "*.pythonhosted.org:443"], deny: ["203.0.113.0/24"] });
    const network = { allow: ["pypi.org", "*.pythonhosted.org:443"], deny: ["203.0.113.0/24"] };
    expect(box.info.network).toEqual(network);
    expect((await client.getBox("one")).info.network).toEqual(network);
    await box.network.update(true);
    expect((await box.refresh()).network).toBe(true);
  });

  it.each([
    [undefined, "undefined"],
    [false, "false"],
    [["pypi.org"], "array"],
    ["pypi.org", "string"],
  ])("gets rules that are an object, and not %j", async (rules, got) => {
    const box = await clientOf(new FakeBackend(), where).create("fake", { network: true });
    const message = `network must be true or an object such as { allow: ["pypi.org"] }, got ${got}`;
    expect(await failure(box.network.update(rules as never))).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining(message),
    });
  });

  it("tells what the box connected to", async () => {
    const box = await clientOf(backendWithLog(), where).create("fake", { network: true });
    expect(await box.network.log()).toEqual(LOG);
  });

  it.each<[unknown, string]>([
    [
      { allow: ["https://pypi.org"] },
      'network.allow[0] must be a name, an address or a CIDR, with optional ports, got "https://pypi.org"',
    ],
    [{ allow: "pypi.org" }, "network.allow must be an array, got string"],
    [{ alow: [] }, "unknown option network.alow (did you mean allow?)"],
    [false, "{ allow: [] } denies everything"],
    ["yes", "network must be true or an object"],
  ])("refuses %j by name, and keeps its rules", async (network, message) => {
    const box = await clientOf(new FakeBackend(), where).create("fake", { network: { allow: [] } });
    const error = await failure(box.network.update(network as true));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain(message);
    expect((await box.refresh()).network).toEqual({ allow: [] });
  });

  it("is refused by create when a rule makes no sense, before there is a box", async () => {
    const client = clientOf(new FakeBackend(), where);
    for (const work of [
      () => client.create("fake", { network: { deny: ["pypi.org:0"] } }),
      () => client.getOrCreate("new", "fake", { network: { deny: ["pypi.org:0"] } }),
      () => client.run("fake", ["true"], { network: { deny: ["pypi.org:0"] } }),
    ]) {
      const error = await failure(work());
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      expect(error.message).toContain("network.deny[0]");
    }
    expect(await client.listBoxes()).toEqual([]);
  });

  it("is not given to a box that was created without", async () => {
    const box = await clientOf(new FakeBackend(), where).create("fake");
    const error = await failure(box.network.update(true));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain("was created without a network");
  });

  it("is that of a running box", async () => {
    const box = await clientOf(new FakeBackend(), where).create("fake", { network: true });
    await box.stop();
    expect(await failure(box.network.log())).toMatchObject({ code: "BOX_NOT_RUNNING" });
    expect(await failure(box.network.update(true))).toMatchObject({ code: "BOX_NOT_RUNNING" });
  });

  it("is UNSUPPORTED where the backend has none", async () => {
    const box = await clientOf(Object.assign(new FakeBackend(), { network: undefined }), where).create(
      "fake",
    );
    expect(await failure(box.network.log())).toMatchObject({ code: "UNSUPPORTED" });
    expect(await failure(box.network.update(true))).toMatchObject({ code: "UNSUPPORTED" });
  });

  it("takes a signal", async () => {
    const box = await clientOf(new FakeBackend(), where).create("fake", { network: true });
    const signal = AbortSignal.abort(new Error("enough"));
    expect((await failure(box.network.log({ signal }))).message).toBe("enough");
    expect((await failure(box.network.update(true, { signal }))).message).toBe("enough");
    expect((await failure(box.network.log({ sginal: signal } as object))).message).toContain("sginal");
  });
});

describe("the network of a box over HTTP", () => {
  it("has no rules on a plain server", async () => {
    const client = clientOf(new FakeBackend(), "on a server", false);
    const rules = { network: { allow: [] } };
    expect(await failure(client.create("fake", rules))).toMatchObject({ code: "UNSUPPORTED" });
    const box = await client.create("fake", { network: true });
    expect(await failure(box.network.update({ allow: [] }))).toMatchObject({ code: "UNSUPPORTED" });
    expect(await failure(box.network.log())).toMatchObject({ code: "UNSUPPORTED" });
  });

  it("is checked by the server, whoever the client is", async () => {
    const handler = createHandler(new FakeBackend());
    const send = async (method: string, path: string, body: object) => {
      const init = { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      const response = await handler(`http://boxrun.internal/v1${path}`, init);
      return { status: response.status, body: (await response.json()) as { id?: string; message?: string } };
    };
    const network = { allow: ["http://x.example"] };
    expect((await send("POST", "/boxes", { image: "fake", network })).body.message).toContain(
      "network.allow[0]",
    );
    const { body: box } = await send("POST", "/boxes", { image: "fake", network: true });
    const path = `/boxes/${box.id}/network`;
    expect((await send("PUT", path, { network })).body.message).toContain("network.allow[0]");
    expect((await send("PUT", path, { network: false })).status).toBe(422);
    expect((await send("PUT", path, {})).status).toBe(422);
    expect((await send("PUT", path, { network: { allow: [] } })).status).toBe(200);
  });
});
