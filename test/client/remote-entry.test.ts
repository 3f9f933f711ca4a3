import { afterEach, expect, it, onTestFinished, vi } from "vitest";
import * as root from "../../src/index.js";
import * as remote from "../../src/remote.js";
import { failure } from "../../src/testing/contract/tools.js";
import { BOX, json, OURS, startServer } from "../remote/servers.js";

/** Nobody listens there. */
const CLOSED = "http://127.0.0.1:59871";

const server = () =>
  startServer((request, response) => json(response, request.path === "/v1/info" ? OURS : [BOX]));

afterEach(() => vi.unstubAllEnvs());

it("exports what the root entry does, and the same classes of errors and handles", () => {
  const { BoxRunClient: _, ...same } = root;
  expect(remote).toMatchObject(same);
  expect(Object.keys(remote).sort()).toEqual(Object.keys(root).sort());
});

it("has all methods of the root entry's client, over the server that the options name", async () => {
  const { baseUrl, seen } = await server();
  const client = new remote.BoxRunClient({ baseUrl, token: "secret" });
  onTestFinished(() => client.close());
  const methods = (of: { prototype: object }) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(of.prototype)).sort();
  expect(methods(remote.BoxRunClient)).toEqual(methods(root.BoxRunClient));
  expect(await client.listBoxes()).toMatchObject([{ id: BOX.id }]);
  expect(await client.ready()).toEqual({
    kind: "remote",
    reason: `the options name the server at ${baseUrl}`,
    tried: [{ place: baseUrl, outcome: "connected" }],
  });
  expect(seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer secret", "Bearer secret"]);
});

it.each<[string, unknown, RegExp]>([
  ["no options", undefined, /^options must be an object that names the server/],
  ["no server", { token: "secret" }, /^baseUrl is missing \(name the server: /],
  ["a variable that is not set", { baseUrl: undefined }, /^baseUrl is missing/],
  ["two servers", { baseUrl: CLOSED, socketPath: "/x" }, /^give baseUrl or socketPath, not both/],
  ["a server that is no URL", { baseUrl: "boxes" }, /^baseUrl must be a URL/],
  [
    "an option for local boxes",
    { baseUrl: CLOSED, local: {} },
    /^boxrun\/remote has no option local \(import BoxRunClient from boxrun/,
  ],
  ["a backend", { baseUrl: CLOSED, backend: "local" }, /^boxrun\/remote has no option backend/],
  [
    "an option that is misspelt",
    { baseUrl: CLOSED, tokn: "secret" },
    /^unknown option tokn \(did you mean token\?\)$/,
  ],
])("says what is wrong with %s", (_what, options, message) => {
  // Found by the root entry, but not named.
  vi.stubEnv("BOXRUN_PORT", "59871");
  const make = () => new remote.BoxRunClient(options as remote.ClientOptions);
  expect(make).toThrow(
    expect.objectContaining({ code: "VALIDATION_ERROR", message: expect.stringMatching(message) }),
  );
});

it("is CONNECTION_FAILED without its server, whatever else runs here", async () => {
  const { baseUrl, seen } = await server();
  vi.stubEnv("BOXRUN_PORT", new URL(baseUrl).port);
  const client = new remote.BoxRunClient({ baseUrl: CLOSED });
  onTestFinished(() => client.close());
  expect(await failure(client.create("tiny"))).toMatchObject({ code: "CONNECTION_FAILED" });
  expect(seen).toEqual([]);
});
