import { describe, expect, it } from "vitest";
import { LocalBackend } from "../../../src/local/boxes/local-backend.js";
import type { Host } from "../../../src/local/host/host.js";
import { nodeHost } from "../../../src/local/host/host-node.js";
import type { HostFrame } from "../../../src/local/protocol/frame-types.js";
import { bootFake, type FakeMachine, fakeBackend, SPEC } from "../fake-machine.js";

describe("the options of a local backend", () => {
  it.each([
    ["an unknown option", { staet: "/tmp" }],
    ["an unknown durability", { durability: "strickt" }],
    ["a state that is no text", { state: 7 }],
  ])("are refused with VALIDATION_ERROR: %s", (_what, options) => {
    expect(() => new LocalBackend(nodeHost, options as never)).toThrow(
      expect.objectContaining({ code: "VALIDATION_ERROR" }),
    );
  });
});

it("the network of all boxes may be bounded by rules, or none", async () => {
  const withNetwork = { ...SPEC, network: true };
  const none = new LocalBackend(nodeHost, { network: false });
  await expect(none.createBox(withNetwork, {})).rejects.toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringContaining("--allow-network"),
  });
  expect(() => new LocalBackend(nodeHost, { network: { deny: ["*", "http://pypi.org"] } })).toThrow(
    expect.objectContaining({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining("local.network.deny[1]"),
    }),
  );
});

it("the client's info names the way out of its boxes", async () => {
  const infoOf = (host: Host, options: object) => new LocalBackend(host, options).info();
  const { encrypt: _encrypt, ...page } = {
    ...nodeHost,
    wayOut: { name: "fetch", openFor: () => Promise.reject(new Error("a test")) } as const,
  };
  const dialer = { connect: () => Promise.reject(new Error("closed")) };
  expect((await infoOf(nodeHost, {})).wayOut).toBe("direct");
  expect((await infoOf(nodeHost, { network: false })).wayOut).toBeUndefined();
  expect(await infoOf(page, {})).toMatchObject({
    wayOut: "fetch",
    capabilities: { network: true, secrets: true },
  });
  expect(await infoOf(page, { dialer })).toMatchObject({
    wayOut: "dialer",
    capabilities: { network: true, secrets: expect.stringContaining("a page cannot encrypt") },
  });
  expect((await infoOf(page, { relay: "wss://box.example.com/v1/relay/?token=x" })).wayOut).toBe("relay");
  expect((await infoOf(nodeHost, { relay: "ws://127.0.0.1:9090/v1/relay/" })).wayOut).toBe("relay");
});

it.each([
  ["not a URL", "must be a URL"],
  ["https://box.example.com/v1/relay/", "must begin with wss:, got https://box.example.com"],
  ["ws://box.example.com/v1/relay/", "must begin with wss: for another machine"],
  ["wss://box.example.com/v1/relay?token=s3cret", 'must end in "/"'],
  ["wss://user:s3cret@box.example.com/", "no user, password or fragment"],
  ["wss://box.example.com/s3cret/#a", "no user, password or fragment"],
])("the relay %s is refused, and the message has no token", (relay, message) => {
  const refused = () => new LocalBackend(nodeHost, { relay });
  expect(refused).toThrow(
    expect.objectContaining({ code: "VALIDATION_ERROR", message: expect.stringContaining(message) }),
  );
  expect(refused).not.toThrow("s3cret");
});

it("a relay and a dialer are one too many", async () => {
  const relay = "wss://box.example.com/v1/relay/";
  const dialer = { connect: () => Promise.reject(new Error("closed")) };
  expect(() => new LocalBackend(nodeHost, { relay, dialer })).toThrow("not both");
});

it("the network of all boxes has no bounds when it is true", async () => {
  const { capabilities } = await new LocalBackend(nodeHost, { network: true }).info();
  expect(capabilities.network).toBe(true);
  expect(() => new LocalBackend(nodeHost, { network: "yes" as never })).toThrow(
    expect.objectContaining({ code: "VALIDATION_ERROR", message: expect.stringContaining("network") }),
  );
});

it("the memory of all boxes has one name and an old one, of which only one may be given", async () => {
  const totalOf = async (options: object) => (await new LocalBackend(nodeHost, options).info()).maxMemoryMb;
  expect(await totalOf({ maxTotalMemoryMb: 3000 })).toBe(3000);
  expect(await totalOf({ memoryMb: 3000 })).toBe(3000);
  expect(() => new LocalBackend(nodeHost, { maxTotalMemoryMb: 1, memoryMb: 1 })).toThrow(
    expect.objectContaining({
      code: "VALIDATION_ERROR",
      message: "give local.maxTotalMemoryMb or its old name local.memoryMb, not both",
    }),
  );
});

it("a box of up to 2048 MiB gets a machine of 2000, and says so", async () => {
  let machine: FakeMachine | undefined;
  const backend = fakeBackend((made) => {
    machine ??= made;
    void bootFake(made);
  });
  const box = await backend.createBox({ ...SPEC, memoryMb: 2048 }, {});
  expect(box).toMatchObject({ memoryMb: 2048, local: { memoryMb: 2000 } });
  const setup = machine?.frames.find(({ type }) => type === "setup");
  const { memoryLimitBytes } = setup as Extract<HostFrame, { type: "setup" }>;
  expect(memoryLimitBytes).toBeGreaterThan(1500 * 2 ** 20);
  expect(memoryLimitBytes).toBeLessThan(2000 * 2 ** 20);
  await backend.removeBox(box.id, { force: true });
  expect(await backend.createBox({ ...SPEC, memoryMb: 256 }, {})).toMatchObject({ local: { memoryMb: 256 } });
  await expect(backend.createBox({ ...SPEC, memoryMb: 2049 }, {})).rejects.toMatchObject({
    code: "VALIDATION_ERROR",
    message: "memoryMb must be an integer from 96 to 2048 for a local box, got 2049",
  });
  await backend.close();
});
