import { describe, expect, it } from "vitest";
import { type Backend, BoxRunError, type Capabilities, ERROR_CODES } from "../../src/backend.js";
import { BoxRunClient } from "../../src/index.js";
import { createHandler } from "../../src/server.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

/** The members that an implementation of the interface must have. One more would break the backends of other people. */
type Required = {
  [name in keyof Backend as object extends Pick<Backend, name> ? never : name]: true;
};
const REQUIRED: Required = {
  attach: true,
  cancelExec: true,
  capabilities: true,
  close: true,
  closeStdin: true,
  createBox: true,
  download: true,
  execEvents: true,
  fileOperation: true,
  gc: true,
  getBox: true,
  getExec: true,
  images: true,
  info: true,
  listBoxes: true,
  listExecs: true,
  pullImage: true,
  removeBox: true,
  signalExec: true,
  startBox: true,
  startExec: true,
  stopBox: true,
  upload: true,
  usage: true,
  waitExec: true,
  writeStdin: true,
};

/** A backend with the required members alone, which has heard of no capability. */
function foreign(): Backend {
  const fake = new FakeBackend();
  const none: Capabilities = {};
  const members = Object.keys(REQUIRED).map((name) => {
    const member = fake[name as keyof FakeBackend] as unknown;
    return [name, typeof member === "function" ? member.bind(fake) : none];
  });
  return Object.fromEntries(members) as Backend;
}

const clients: [string, () => BoxRunClient][] = [
  ["itself", () => new BoxRunClient({ backend: foreign() })],
  [
    "over HTTP",
    () =>
      new BoxRunClient({
        backend: "remote",
        baseUrl: "http://boxrun.internal",
        fetch: createHandler(foreign()),
      }),
  ],
];

describe.each(clients)("a backend that knows of no capability, %s", (_how, connect) => {
  it("runs commands, moves files and lists boxes", async () => {
    const client = connect();
    const box = await client.create("fake", { name: "demo" });
    expect(await box.exec(["echo", "hello"])).toMatchObject({ stdout: "hello\n", exitCode: 0 });
    await box.upload(new TextEncoder().encode("text"), "/srv/a");
    expect(await (await box.download("/srv/a")).text()).toBe("text");
    expect((await client.listBoxes({ status: "running" })).map(({ name }) => name)).toEqual(["demo"]);
    await box.stop();
    await box.start();
    await box.remove({ force: true });
  });
});

it("a feature that a server's backend does not know is refused with a reason", async () => {
  const client = clients[1]![1]();
  const box = await client.create("fake");
  expect(await failure(box.usage())).toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringMatching(/usage/),
  });
});

it("the errors of boxrun/backend are those of boxrun", () => {
  const error = new BoxRunError("RESOURCE_EXCEEDED", "two boxes exist");
  expect(error.code).toBe("RESOURCE_EXCEEDED");
  expect(ERROR_CODES).toContain(error.code);
});
