import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { BoxSpec } from "../../../src/backend/backend.js";
import type { RunningServer, ServeOptions } from "../../../src/node.js";
import { serve } from "../../../src/server/node/serve.js";
import { ScriptedBackend } from "../scripted-backend.js";

let folder: string;
let servers: RunningServer[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-serve-"));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  rmSync(folder, { recursive: true });
});

async function start(options: ServeOptions, backend = new ScriptedBackend()): Promise<RunningServer> {
  const server = await serve(backend, options);
  servers.push(server);
  return server;
}

it("a socket that a dead server has left goes to one of many that start at once, and stays its", async () => {
  const path = join(folder, "s");
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => console.log())`;
  const dead = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(dead.stdout, "data");
  dead.kill("SIGKILL");
  await once(dead, "exit");
  expect(existsSync(path)).toBe(true);
  const started = await Promise.allSettled([1, 2, 3].map(() => start({ socketPath: path })));
  expect(started.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const result of started) {
    if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "RUNTIME_ERROR" });
  }
  const client = connect(path);
  await once(client, "connect");
  client.destroy();
  expect(readdirSync(folder)).toEqual(["s"]);
});

it.each(["file", "empty file", "folder", "link"])(
  "a %s where the socket is to be stays as it is",
  async (what) => {
    const path = join(folder, "s");
    if (what === "folder") mkdirSync(path);
    else if (what === "link") symlinkSync("/nowhere", path);
    else writeFileSync(path, what === "file" ? "mine" : "");
    await expect(start({ socketPath: path })).rejects.toMatchObject({
      code: "RUNTIME_ERROR",
      message: expect.stringMatching(new RegExp(`${path}.*not a socket.*choose another`)),
    });
    const stats = lstatSync(path);
    expect([stats.isDirectory(), stats.isSymbolicLink()]).toEqual([what === "folder", what === "link"]);
    if (stats.isFile()) expect(readFileSync(path, "utf8")).toBe(what === "file" ? "mine" : "");
  },
);

it("a path that is too long for a socket is refused, and no socket left anywhere", async () => {
  const longest = process.platform === "linux" ? 107 : 103;
  const path = join(folder, "x".repeat(longest - folder.length));
  await expect(start({ socketPath: path })).rejects.toMatchObject({
    code: "VALIDATION_ERROR",
    message: expect.stringContaining(`at most ${longest} bytes`),
  });
  expect(readdirSync(folder)).toEqual([]);
  await start({ socketPath: path.slice(0, -1) });
  expect(readdirSync(folder)).toHaveLength(1);
});

it("a folder for the socket that cannot be made is told of as an error of ours", async () => {
  writeFileSync(join(folder, "file"), "");
  await expect(start({ socketPath: join(folder, "file", "s") })).rejects.toMatchObject({
    code: "RUNTIME_ERROR",
    message: expect.stringMatching(/cannot listen/),
  });
});

it("files that others make while a socket is being opened have the modes that they ask for", async () => {
  const before = process.umask();
  const starting = start({ socketPath: join(folder, "s") });
  // The socket is made in the first step, since there is none to clear.
  await Promise.resolve();
  expect(existsSync(join(folder, "s"))).toBe(true);
  expect(process.umask()).toBe(before);
  await starting;
});

it("a client that does not finish the head of a request is told so and dropped", async () => {
  const { addresses } = await start({ port: 0, headersTimeoutMs: 200 });
  const { hostname, port } = new URL(addresses[0]!);
  const slow = connect(Number(port), hostname);
  slow.write(`GET /v1/info HTTP/1.1\r\nhost: ${hostname}:${port}\r\n`);
  let text = "";
  slow.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  await once(slow, "close");
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
});

it("a download that fails half way is cut off where it failed, and prints nothing here", async () => {
  const backend = new ScriptedBackend();
  const { id } = await backend.createBox({ image: "tiny" } as BoxSpec);
  let fail = () => {};
  backend.download = async () => {
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(new TextEncoder().encode("half"));
        fail = () => controller.error(new Error("the box is gone"));
      },
    });
    return { size: 4 + "Error: the box is gone".length, mode: 0o644, stream };
  };
  const { addresses } = await start({ port: 0 }, backend);
  const { hostname, port } = new URL(addresses[0]!);
  const printed = vi.spyOn(console, "error").mockImplementation(() => {});
  try {
    const body = JSON.stringify({ path: "/file" });
    const client = connect(Number(port), hostname);
    client.write(
      `POST /v1/boxes/${id}/files/download HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    let answer = "";
    client.setEncoding("latin1").on("data", (chunk) => {
      answer += chunk;
      if (answer.endsWith("half")) fail();
    });
    client.on("error", () => {});
    await once(client, "close");
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer.split("\r\n\r\n")[1]).toBe("half");
    expect(printed).not.toHaveBeenCalled();
  } finally {
    printed.mockRestore();
  }
});

it("a download that fails before its first byte is an error, not an end of the connection", async () => {
  const backend = new ScriptedBackend();
  const { id } = await backend.createBox({ image: "tiny" } as BoxSpec);
  const pull = (controller: ReadableStreamDefaultController) => controller.error(new Error("unreadable"));
  const stream = () => new ReadableStream<Uint8Array>({ pull }, { highWaterMark: 0 });
  backend.download = async () => ({ size: 8, mode: 0o644, stream: stream() });
  const { addresses } = await start({ port: 0 }, backend);
  const printed = vi.spyOn(console, "error").mockImplementation(() => {});
  try {
    const answer = await fetch(`${addresses[0]}/v1/boxes/${id}/files/download`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ path: "/file" }),
    });
    expect(answer.status).toBe(500);
    expect(await answer.text()).toContain("unreadable");
  } finally {
    printed.mockRestore();
  }
});
