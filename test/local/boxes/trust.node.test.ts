import { BoxRunClient } from "boxrun";
import { expect, it, onTestFinished } from "vitest";
import { failure } from "../../../src/testing/contract/tools.js";

it("secrets are refused at create for an image whose programs could not use them", async () => {
  const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  onTestFinished(() => client.close());
  const secrets = { KEY: { value: "sk-1", hosts: ["api.example.com"] } };
  const creating = client.create("tiny", { memoryMb: 256, network: { allow: [] }, secrets });
  expect(await failure(creating)).toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringContaining("the image tiny has no list of certificate authorities"),
    hint: "use debian",
  });
  expect(await client.listBoxes()).toEqual([]);
});
