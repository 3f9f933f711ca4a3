import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createServer as createHttp, type RequestListener } from "node:http";
import { createServer as createHttps } from "node:https";
import { join } from "node:path";
import { promisify } from "node:util";
import { WebSocketServer } from "ws";
import type { World } from "../../../local/network/world.js";
import { gitServer } from "./git-server.js";

const run = promisify(execFile);

/** What web.example.com has under /file. */
export const FILE = randomBytes(1 << 20);

/** Starts the servers of all checks, whose files are in a folder. Returns the certificate of their authority. */
export async function addServers(world: World, folder: string): Promise<Uint8Array> {
  const { ca, cert, key } = await certificates(folder, "web.example.com");
  await world.add("web.example.com:80", createHttp(web));
  await world.add("web.example.com:443", createHttps({ cert, key }, web));
  await world.add("git.example.com:80", await gitServer(join(folder, "git")));
  await world.add("ws.example.com:80", webSockets());
  await world.add("echo.example.com:7", (socket) => void socket.pipe(socket));
  await world.add("mute.example.com:80", (socket) => void socket.resume());
  await world.add("cut.example.com:80", (socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\npart", () => socket.resetAndDestroy());
    });
  });
  world.addSilent("silent.example.com:80");
  return ca;
}

let sockets = 0;
const numbers = new WeakMap<object, number>();

/** A file with ranges and a redirect to it, and for every other path the size and hash of what was sent. Each answer has the number of its connection. */
const web: RequestListener = async (request, response) => {
  const { socket, url } = request;
  if (!numbers.has(socket)) numbers.set(socket, ++sockets);
  response.setHeader("x-connection", numbers.get(socket)!);
  if (url === "/moved") return response.writeHead(302, { location: "/file" }).end();
  if (url === "/missing") return response.writeHead(404).end();
  if (url === "/file") {
    const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? [];
    if (from !== undefined)
      response.writeHead(206, { "content-range": `bytes ${from}-${FILE.length - 1}/${FILE.length}` });
    return response.end(FILE.subarray(Number(from ?? 0)));
  }
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    hash.update(part);
  }
  response.end(`${bytes} ${hash.digest("hex")}\n`);
};

/** Answers each message with itself, and "close 4001 why" with that code and reason. */
function webSockets(): ReturnType<typeof createHttp> {
  const server = createHttp();
  const accepting = new WebSocketServer({ server, maxPayload: 16 << 20 });
  accepting.on("connection", (one) => {
    one.on("message", (data, isBinary) => {
      const [, code, reason] = /^close (\d+) (.*)/.exec(isBinary ? "" : String(data)) ?? [];
      if (code) one.close(Number(code), reason);
      else one.send(data, { binary: isBinary });
    });
  });
  return server;
}

/** Makes an authority, and a certificate of its for a name. */
async function certificates(
  folder: string,
  name: string,
): Promise<{ ca: Uint8Array; cert: Buffer; key: Buffer }> {
  const path = (file: string) => join(folder, file);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await run("openssl", [
    ...["req", "-x509", ...newKey, "-days", "2", "-subj", "/CN=Authority of the checks"],
    ...["-addext", "keyUsage=critical,keyCertSign", "-keyout", path("ca-key.pem"), "-out", path("ca.pem")],
  ]);
  await run("openssl", [
    ...["req", ...newKey, "-subj", `/CN=${name}`, "-keyout", path("key.pem"), "-out", path("request.pem")],
  ]);
  await writeFile(path("extensions"), `subjectAltName=DNS:${name}\nauthorityKeyIdentifier=keyid\n`);
  await run("openssl", [
    ...["x509", "-req", "-in", path("request.pem"), "-days", "2", "-extfile", path("extensions")],
    ...["-CA", path("ca.pem"), "-CAkey", path("ca-key.pem"), "-CAcreateserial", "-out", path("cert.pem")],
  ]);
  const [ca, cert, key] = await Promise.all(
    ["ca.pem", "cert.pem", "key.pem"].map((file) => readFile(path(file))),
  );
  return { ca: ca!, cert: cert!, key: key! };
}
