import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { portClosed } from "../../src/backend/ports.js";
import { BoxRunClient } from "../../src/index.js";
import { serve } from "../../src/server/node/serve.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import { httpServer } from "../ports/local-server.js";
import { ROOT } from "../root.js";

const CLI = join(ROOT, "dist/node/cli.js");

function boxrun(...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const outputs = { stderr: "" };
  child.stderr.setEncoding("utf8").on("data", (text) => (outputs.stderr += text));
  const ended = once(child, "close").then(([code]) => ({ code, ...outputs }));
  return { child, outputs, ended };
}

/** Waits for the address that the command prints. */
async function addressOf(child: ChildProcess, outputs: { stderr: string }): Promise<string> {
  for (;;) {
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(outputs.stderr) ?? [];
    if (url) return url;
    await Promise.race([
      once(child.stderr!, "data"),
      once(child, "close").then(() => expect.fail(outputs.stderr)),
    ]);
  }
}

async function expectClosed(url: string): Promise<void> {
  const socket = connect({ port: Number(new URL(url).port), host: "127.0.0.1" });
  expect((await once(socket, "error"))[0]).toMatchObject({ code: "ECONNREFUSED" });
}

/** A server with a box "web", of which one port is a server that says hello. */
async function serverWithBox() {
  const web = await httpServer((_request, response) => response.end("hello"));
  const backend = new FakeBackend();
  Object.assign(backend, {
    capabilities: { ...backend.capabilities, ports: true },
    ports: {
      list: async () => [{ port: web.port, addresses: ["127.0.0.1"] }],
      connect: async (_box: string, port: number) => {
        if (port !== web.port) throw portClosed(port);
        return web.connect();
      },
    },
  });
  const running = await serve(backend, { port: 0 });
  onTestFinished(() => running.close());
  const server = running.addresses[0]!;
  const client = new BoxRunClient({ backend: "remote", baseUrl: server });
  onTestFinished(() => client.close());
  return { box: await client.create("fake", { name: "web" }), port: web.port, server };
}

it("boxrun forward leads to a port of a box until it is interrupted", async () => {
  const { port, server } = await serverWithBox();
  const { child, outputs, ended } = boxrun("forward", "--server", server, "web", `0:${port}`);
  const url = await addressOf(child, outputs);
  expect(await (await fetch(url)).text()).toBe("hello");
  child.kill("SIGINT");
  expect(await ended).toEqual({ code: 0, stderr: `boxrun: ${url} leads to port ${port} of the box\n` });
  await expectClosed(url);
});

it("boxrun forward ends when the box does", async () => {
  const { box, port, server } = await serverWithBox();
  const { child, outputs, ended } = boxrun("forward", "--server", server, "web", `0:${port}`);
  await addressOf(child, outputs);
  await box.stop();
  expect(await ended).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("boxrun: box web is not running any more\n"),
  });
});

it("boxrun forward says which port is in use, and leaves none open", async () => {
  const { port, server } = await serverWithBox();
  const { ended } = boxrun("forward", "--server", server, "web", `0:${port}`, `${port}:${port}`);
  const { code, stderr } = await ended;
  expect(code).toBe(125);
  expect(stderr).toContain(`cannot listen on 127.0.0.1:${port}: the port is in use`);
  expect(stderr).toContain("HOST_PORT 0 is a free one");
  await expectClosed(/http:\S+/.exec(stderr)![0]);
});

it("boxrun forward says that there is no server, when it finds neither that nor the box", async () => {
  const state = mkdtempSync(join(tmpdir(), "boxrun-test-"));
  onTestFinished(() => rmSync(state, { recursive: true }));
  vi.stubEnv("BOXRUN_PORT", "1").stubEnv("BOXRUN_STATE_DIR", state);
  onTestFinished(() => void vi.unstubAllEnvs());
  const { code, stderr } = await boxrun("forward", "fw", "80").ended;
  expect(code).toBe(125);
  expect(stderr).toContain('there is no box "fw" on this machine, and no BoxRun server answers');
  expect(stderr).toContain("--server SERVER");
});

it("boxrun run -p leads to a server of the command for as long as it runs", async () => {
  const command = ["sh", "-c", "httpd -p 127.0.0.1:8080 -h /etc; echo up; sleep 600"];
  const { child, outputs, ended } = boxrun(
    "run",
    "-p",
    "0:8080",
    "--memory",
    "256",
    "tiny",
    "--",
    ...command,
  );
  await once(child.stdout, "data");
  const url = await addressOf(child, outputs);
  expect(await (await fetch(`${url}/hosts`)).text()).toContain("localhost");
  child.kill("SIGTERM");
  expect(await ended).toMatchObject({ code: 143 });
  await expectClosed(url);
});
