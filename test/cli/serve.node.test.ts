import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { BoxRunClient } from "boxrun";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createViteServer } from "vitest/node";
import { ROOT } from "../root.js";
import { ServeProcesses } from "./serve-processes.js";

const GUIDE = join(ROOT, "docs/guide/servers.md");

const processes = new ServeProcesses();
const { folder } = processes;
const start = (...args: string[]) => processes.start({}, ...args);
const boxrun = (env: Record<string, string>, ...args: string[]) => processes.boxrun(env, ...args);
afterAll(() => processes.end());

/** One request with headers that `fetch` does not let through. */
function ask(
  url: string,
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
  body = "",
) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = request(new URL(path, url), options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on("error", reject);
    sent.on("upgrade", ({ statusCode = 0 }, socket) => {
      socket.destroy();
      resolve({ status: statusCode, text: "" });
    });
    sent.end(body);
  });
}

describe("boxrun serve", () => {
  let server: Awaited<ReturnType<typeof start>>;
  let client: BoxRunClient;
  beforeAll(async () => {
    server = await start("--port", "0");
    client = new BoxRunClient({ backend: "remote", baseUrl: server.url });
  });
  afterAll(async () => {
    server.child.kill("SIGKILL");
  });

  it("says where it is, and answers only to this machine's names and its own origin", async () => {
    expect(server.line).toMatch(/^boxrun: listening on http:\/\/127\.0\.0\.1:\d+\n$/);
    expect((await ask(server.url, "/v1/info")).status).toBe(200);
    expect((await ask(server.url, "/v1/info", { headers: { host: "evil.example" } })).status).toBe(403);
    const foreign = { origin: "https://evil.example", "content-type": "text/plain" };
    const run = JSON.stringify({ image: "tiny", cmd: ["true"] });
    expect((await ask(server.url, "/v1/run", { method: "POST", headers: foreign }, run)).status).toBe(403);
    const plain = { "content-type": "text/plain" };
    expect((await ask(server.url, "/v1/run", { method: "POST", headers: plain }, run)).status).toBe(415);
  });

  it("gives no box a network unless it is told to", async () => {
    const error = await client.create("tiny", { network: true }).catch((reason) => reason);
    expect(error).toMatchObject({ code: "UNSUPPORTED" });
    expect(error.message).toContain("--allow-network");
    expect((await client.info()).capabilities.network).toContain("--allow-network");
  });

  it("serves previews below the domain that it is given", async () => {
    const other = await start("--port", "0", "--preview-domain", "preview.example.com");
    const statusOf = async (host: string) => (await ask(other.url, "/v1/info", { headers: { host } })).status;
    expect(await statusOf("none.preview.example.com")).toBe(404);
    expect(await statusOf("none.preview.example.org")).toBe(403);
    expect(await statusOf(new URL(other.url).host)).toBe(200);
    await other.stop();
    const { line, ended } = await start("--port", "0", "--preview-domain", "Preview.example.com:80");
    expect(line).toMatch(
      /^boxrun: --preview-domain must be a domain .* got "Preview\.example\.com:80" .*\n$/,
    );
    expect(await ended).toBe(125);
  });

  it("is used through Vite's proxy as the guide has it, and says what is wrong with the short form", async () => {
    const { proxy } = /proxy: \{ "\/v1": (?<proxy>\{.*?\}) \}/.exec(readFileSync(GUIDE, "utf8"))!.groups!;
    const recipe = proxy!.replace(/"http:[^"]*"/, "url");
    const proxied = async (passed: object | string, path: string, headers: Record<string, string>) => {
      const config = { port: 0, host: "127.0.0.1", proxy: { "/v1": passed } };
      const vite = await createViteServer({
        configFile: false,
        root: folder,
        logLevel: "silent",
        server: config,
      });
      await vite.listen();
      const url = `http://127.0.0.1:${(vite.httpServer!.address() as AddressInfo).port}`;
      const method = headers["upgrade"] ? "GET" : "POST";
      const body = method === "POST" ? '{"older_than":1e9}' : "";
      const answer = await ask(url, path, { method, headers: { origin: url, ...headers } }, body);
      await vite.close();
      return answer;
    };
    const json = { "content-type": "application/json" };
    const kept = new Function("url", `return (${recipe})`)(server.url);
    expect(await proxied(kept, "/v1/gc", json)).toMatchObject({ status: 200 });
    const webSocket = {
      connection: "upgrade",
      upgrade: "websocket",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-version": "13",
    };
    expect(await proxied(kept, "/v1/boxes/none/attach", webSocket)).toMatchObject({ status: 101 });
    const changed = await proxied(server.url, "/v1/gc", json);
    expect(changed.status).toBe(403);
    expect(changed.text).toMatch(/changeOrigin: false.*allowOrigins/);
  });

  it("lets pages of an origin in that it is told of", async () => {
    const open = await start(
      "--port",
      "0",
      "--allow-origin",
      "https://a.example",
      "--allow-origin",
      "http://b",
    );
    for (const [origin, status] of [
      ["https://a.example", 200],
      ["http://b", 200],
      ["https://c.example", 403],
    ] as const) {
      expect((await ask(open.url, "/v1/info", { headers: { origin } })).status).toBe(status);
    }
    await open.stop();
  });

  it.each(["//", "//evil.example/v1/info", "/\\", "*"])(
    "refuses a WebSocket at %j, which any page may ask for, and goes on",
    async (path) => {
      const { hostname, port } = new URL(server.url);
      const socket = connect(Number(port), hostname);
      socket.write(
        `GET ${path} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
          "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n",
      );
      const answer = await new Promise<string>((resolve) => {
        socket.once("data", (bytes) => resolve(String(bytes)));
        socket.once("close", () => resolve(""));
      });
      socket.destroy();
      expect(answer).toMatch(/^HTTP\/1\.1 40[034] /);
      expect((await ask(server.url, "/v1/info")).status).toBe(200);
    },
  );

  it("answers clients that offer HTTP/2 as if they had not, bodies and later requests included", async () => {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk) => (text += chunk));
    const offer =
      `host: ${hostname}:${port}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n` +
      "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";
    const body = '{"image":"tiny","cmd":12345}';
    socket.write(`GET /v1/info HTTP/1.1\r\n${offer}\r\n`);
    while (!text.endsWith("}")) await once(socket, "data");
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    text = "";
    // Its body comes with its head in part.
    const head = `POST /v1/run HTTP/1.1\r\n${offer}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    socket.write(head + body.slice(0, 10));
    await (await fetch(new URL("/v1/info", server.url))).text();
    socket.write(body.slice(10));
    while (!text.endsWith("}")) await once(socket, "data");
    expect(text).toMatch(/^HTTP\/1\.1 422 /);
    socket.destroy();
    // curl closes what it sends; Node's own client as well.
    const headers = {
      connection: "upgrade",
      upgrade: "h2c",
      "transfer-encoding": "chunked",
      "content-type": "application/json",
    };
    const answer = await ask(server.url, "/v1/run", { method: "POST", headers }, body);
    expect(answer.text).toContain("VALIDATION_ERROR");
  });

  it("keeps nothing under the name of an upload whose client goes away", async () => {
    const box = await client.create("tiny", { name: "served", memoryMb: 256 });
    await box.exec("echo old > /root/file");
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    const part = (disposition: string) => `--b\r\ncontent-disposition: form-data; ${disposition}\r\n\r\n`;
    socket.write(
      `POST /v1/boxes/${box.id}/files/upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n` +
        "content-type: multipart/form-data; boundary=b\r\n\r\n" +
        `${part('name="dest"')}/root/file\r\n${part('name="file"; filename="f"')}half of it`,
    );
    // Until the guest has begun to write it, beside the old one.
    await box.exec("until [ $(ls -A /root | wc -l) -gt 1 ]; do :; done", { timeoutMs: 20_000 });
    socket.destroy();
    const { stdout } = await box.exec("until [ $(ls -A /root | wc -l) = 1 ]; do :; done; cat /root/file", {
      timeoutMs: 20_000,
    });
    expect(stdout).toBe("old\n");
  });

  it("lets a client that is refused send all it has, and only then see why", async () => {
    const { id } = await client.getBox("served");
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname).pause();
    const fields = `--b\r\ncontent-disposition: form-data; name="dest"\r\n\r\n/etc\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n`;
    const file = new Uint8Array(32 * 2 ** 20);
    socket.write(
      `POST /v1/boxes/${id}/files/upload HTTP/1.1\r\nhost: ${hostname}\r\nconnection: close\r\n` +
        `content-type: multipart/form-data; boundary=b\r\ncontent-length: ${fields.length + file.length + 9}\r\n\r\n${fields}`,
    );
    socket.write(file);
    await new Promise<void>((resolve, reject) =>
      socket.write("\r\n--b--\r\n", (error) => (error ? reject(error) : resolve())),
    );
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 .*"RUNTIME_ERROR".*is a directory/s);
  });

  it("goes on when a reader of events leaves, and when one sends a byte at a time", async () => {
    const box = await client.getBox("served");
    const execution = await box.execStream("yes | head -c 3000000; echo done >&2", { detached: true });
    const { hostname, port } = new URL(server.url);
    const path = `/v1/boxes/${box.id}/exec/${execution.id}/events`;
    const reader = connect(Number(port), hostname);
    for (const char of `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`) reader.write(char);
    await new Promise((resolve) => reader.once("data", resolve));
    reader.destroy();
    expect(await execution.wait()).toMatchObject({ exitCode: 0 });
  });

  it("gives a command of one process to another, by its id, with all its output, to be ended there", async () => {
    const box = await client.getBox("served");
    const command = "echo before; until [ -e /root/go ]; do sleep 0.1; done; echo after; sleep 7000";
    const execution = await box.execStream(command, { detached: true });
    const first = execution[Symbol.asyncIterator]();
    expect((await first.next()).value).toMatchObject({ data: "before\n" });
    const script = `
      import { BoxRunClient } from "boxrun";
      const [baseUrl, json] = process.argv.slice(1);
      const { id, boxId } = JSON.parse(json);
      const box = await new BoxRunClient({ backend: "remote", baseUrl }).fromJSON({ id: boxId });
      const execution = await box.execution(id);
      await box.files.write("/root/go", "");
      for await (const event of execution) {
        process.stdout.write(event.type === "log" ? event.data : "code " + event.exitCode);
        if (event.data === "after\\n") void execution.cancel();
      }
    `;
    const other = spawn(
      process.execPath,
      ["--input-type=module", "-e", script, server.url, JSON.stringify(execution)],
      { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] },
    );
    expect(await text(other.stdout)).toBe("before\nafter\ncode null");
    expect((await first.next()).value).toMatchObject({ data: "after\n" });
    expect(await execution.wait()).toMatchObject({ status: "canceled" });
  });

  it("stops its boxes when it is asked to end, and has them again afterwards", async () => {
    const running = await client.getBox("served");
    const execution = await running.execStream("echo up; sleep 7000", { detached: true });
    for await (const { type } of execution) if (type === "log") break;
    const { id, boxId } = execution;
    const followed = await fetch(new URL(`/v1/boxes/${boxId}/exec/${id}/events`, server.url));
    const events = followed.text();
    expect(await server.stop()).toBe(0);
    // The stream is whole, and tells the end.
    expect(await events).toMatch(/"up\\n".*event: exit\n.*\n\n$/s);
    server = await start("--port", "0");
    client = new BoxRunClient({ backend: "remote", baseUrl: server.url });
    const box = await client.getBox("served");
    expect(box.info.status).toBe("stopped");
    await box.start();
    expect((await box.exec(["cat", "/root/file"])).stdout).toBe("old\n");
    expect((await box.executions()).length).toBeGreaterThan(3);
    await box.remove({ force: true });
  });

  it("is used by boxrun run with its token, and not passed over in silence without", async () => {
    const guarded = await start("--port", "0", "--token", "s3cret");
    const { host, port } = new URL(guarded.url);
    const run = (env: Record<string, string>, ...options: string[]) =>
      boxrun({ BOXRUN_PORT: port, ...env }, "run", "--memory", "256", ...options, "tiny", "--", "echo", "up");
    const named = ["--server", guarded.url];
    const up = { code: 0, stdout: "up\n", stderr: "" };
    expect(await run({}, ...named, "--token", "s3cret")).toEqual(up);
    expect(await run({ BOXRUN_TOKEN: "s3cret" }, ...named)).toEqual(up);
    expect(await run({ BOXRUN_TOKEN: "s3cret" })).toEqual(up);
    const refused = {
      code: 125,
      stdout: "",
      stderr: expect.stringMatching(/^boxrun: .*token is required.*\n$/),
    };
    expect(await run({}, ...named)).toEqual(refused);
    const notice = new RegExp(
      `^boxrun: running on this machine, not on the server at http://${host}: .*\\n$`,
    );
    for (const [token, why] of [
      ["", "requires a token: set --token or BOXRUN_TOKEN"],
      ["wrong", "refused the token"],
    ] as const) {
      const { stderr, ...rest } = await run({ BOXRUN_TOKEN: token });
      expect(rest).toEqual({ code: 0, stdout: "up\n" });
      expect(stderr).toMatch(notice);
      expect(stderr).toContain(why);
    }
    await guarded.stop();
  });

  it("listens for other machines only with a token", async () => {
    const refused = await start("--host", "0.0.0.0", "--port", "0");
    expect(refused.line).toMatch(/reachable from other machines.*token/);
    expect(await refused.ended).toBe(125);
    const open = await start("--host", "0.0.0.0", "--port", "0", "--token", "s3cret");
    const url = open.url.replace("0.0.0.0", "127.0.0.1");
    expect((await ask(url, "/v1/info")).status).toBe(401);
    const headers = { authorization: "Bearer s3cret" };
    expect((await ask(url, "/v1/info", { headers })).status).toBe(200);
    await open.stop();
  });

  it("is a relay when it is told to, with a token of its own", async () => {
    const refused = await start("--port", "0", "--relay");
    expect(refused.line).toMatch(/a relay needs a token.*--relay-token/);
    expect(await refused.ended).toBe(125);
    const open = await processes.start({ BOXRUN_RELAY_TOKEN: "s3cret" }, "--port", "0", "--relay");
    const headers = {
      connection: "upgrade",
      upgrade: "websocket",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-version": "13",
    };
    expect((await ask(open.url, "/v1/relay/?token=s3cret", { headers })).status).toBe(101);
    expect((await ask(open.url, "/v1/relay/?token=other", { headers })).status).toBe(401);
    const place = open.url.replace("http", "ws");
    expect(open.line).toContain(`boxrun: relay at ${place}/v1/relay/?token=TOKEN, to every public address\n`);
    expect((await ask(open.url, "/v1/info")).status).toBe(200);
    await open.stop();
  });
});
