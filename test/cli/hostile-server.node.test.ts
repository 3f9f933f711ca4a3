import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../root.js";

const CLI = join(ROOT, "dist/node/cli.js");
/** Clears the screen, names the window, and goes backwards: commands to a terminal. */
const COMMANDS = "\u001b[2J\u001b]0;x\u0007\u009b31m\b\u202e";
const SHOWN = /\p{Cc}|\p{Bidi_Control}/u;

let answers: Record<string, [status: number, body: unknown]>;
const server = createServer((request, response) => {
  const [status, body] = answers[request.url ?? ""] ?? [404, { code: "X", message: "no" }];
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
});
beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(() => server.close().closeAllConnections());

/** `boxrun images`, which asks this server. */
async function images() {
  const { port } = server.address() as AddressInfo;
  const env = { ...process.env, BOXRUN_SOCKET: "", BOXRUN_HOST: "127.0.0.1", BOXRUN_PORT: `${port}` };
  const child = spawn(process.execPath, [CLI, "images"], { stdio: "pipe", env });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  const [code] = await once(child, "close");
  return { code, output };
}

const INFO = { max_cpu: 1, max_memory_mb: 1, server: "boxrun-ts/0", capabilities: ["images"] };

it("a server cannot give commands to the terminal by what it lists", async () => {
  const image = {
    name: `a${COMMANDS}`,
    aliases: [],
    description: `d${COMMANDS}`,
    download_bytes: 1,
    total_bytes: 1,
  };
  answers = { "/v1/info": [200, INFO], "/v1/images": [200, [image]] };
  const { code, output } = await images();
  expect(code).toBe(0);
  expect(output).toMatch(/^a.*\td/);
  expect(output.replace(/[\t\n]/g, "")).not.toMatch(SHOWN);
});

it("nor by its errors", async () => {
  answers = {
    "/v1/info": [200, INFO],
    "/v1/images": [400, { code: "VALIDATION_ERROR", message: `no${COMMANDS}` }],
  };
  const { code, output } = await images();
  expect(code).toBe(125);
  expect(output).toMatch(/^boxrun: .*no/);
  expect(output.replace(/[\t\n]/g, "")).not.toMatch(SHOWN);
});
