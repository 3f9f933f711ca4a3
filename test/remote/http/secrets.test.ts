import { inspect } from "node:util";
import { expect, it } from "vitest";
import { BoxRunClient } from "../../../src/index.js";
import { failure } from "../../../src/testing/contract/tools.js";
import { BOX, EXEC, json, OURS, startServer } from "../servers.js";

it("shows neither token nor headers to whoever prints a client, a box, a command or an error, or makes JSON of them", async () => {
  const server = await startServer((request, response) => {
    if (request.path.endsWith("/gone"))
      return json(response, { code: "BOX_NOT_FOUND", message: "gone" }, 404);
    json(response, request.path.endsWith("/info") ? OURS : request.method === "POST" ? EXEC : BOX);
  });
  const client = new BoxRunClient({
    backend: "remote",
    baseUrl: server.baseUrl,
    token: "hidden-token",
    headers: { "x-key": "hidden-header" },
  });
  const box = await client.getBox("a");
  const execution = await box.execStream(["true"], { detached: true });
  const error = await failure(client.getBox("gone"));
  await server.stop();
  const lost = await failure(client.getBox("a"));
  expect(server.seen[0]?.headers["x-key"]).toBe("hidden-header");
  for (const shown of [client, box, execution, error, lost]) {
    expect(inspect(shown, { depth: null, showHidden: true })).not.toContain("hidden-");
    expect(JSON.stringify(shown)).not.toContain("hidden-");
  }
  await client.close();
});
