import { execFile } from "node:child_process";
import { once } from "node:events";
import { get } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { COMMANDS } from "../../demo/commands.mjs";
import { SITE, serveFolder } from "../../demo/static-server.mjs";
import { ROOT } from "../root.js";

const start = (...args: string[]) =>
  promisify(execFile)(process.execPath, ["demo/start.mjs", ...args], { cwd: ROOT });

it("npm start -- --once runs a box, shows what it ran and how long it took, and ends", async () => {
  const { stdout } = await start("--once");
  expect(stdout).toMatch(/^create\("tiny"\) {2}\d+ ms {2}\(BusyBox/);
  for (const cmd of COMMANDS) expect(stdout).toContain(`$ ${cmd}\n`);
  expect(stdout).toContain("Hello from Linux");
  expect(stdout).toMatch(/this goes to stderr\n {2}exit code 3, \d+ ms/);
});

it.each([["--no-such"], ["--port", "70000"], ["--port"]])("npm start refuses %s at once", async (...args) => {
  const failed = await start(...args).catch((error) => error);
  expect(failed).toMatchObject({ code: 2, stdout: "" });
  expect(failed.stderr).toMatch(/--(no-such|port).*\nusage: .*\n$/);
});

it("npm start says in one line that its port is taken", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const failed = await start("--port", String(port)).catch((error) => error);
  other.close();
  expect(failed).toMatchObject({ code: 1 });
  expect(failed.stderr).toMatch(/^.*port \d+ .*try --port N, which takes N and N \+ 1\n$/);
});

it("the demo's server goes on when it is asked for what is no address", async () => {
  const server = serveFolder(new URL(`file://${ROOT}/`), SITE).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  for (const path of ["//", "//[", "*"]) {
    const [response] = await once(get({ port, host: "127.0.0.1", path }), "response");
    expect(response.resume().statusCode).toBeGreaterThanOrEqual(300);
  }
  server.close();
});
