/**
 * The network of a box and its ports, in Node, with servers on this machine's loopback. Each function gets a fresh process.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer as createHttp } from "node:http";
import { createServer } from "node:net";
import { BoxRunClient } from "boxrun";
import { median } from "./statistics.mjs";

const MB = 1_000_000;
const BLOCK = Buffer.alloc(2 ** 18);
const BLOCKS = 800;
const REQUESTS = 200;
const KB = 1000;

/** A server that does next to nothing, so that the figures are ours. */
const SERVER = `
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
  static char answer[2000] = "HTTP/1.1 200 OK\\r\\ncontent-length: ${KB}\\r\\nconnection: close\\r\\n\\r\\n";
  int server = socket(AF_INET, SOCK_STREAM, 0), bytes = strlen(answer) + ${KB};
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(8000), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  if (bind(server, (struct sockaddr *)&at, sizeof at) < 0 || listen(server, 128) < 0) return 1;
  for (;;) {
    char request[4096];
    int client = accept(server, 0, 0);
    if (read(client, request, sizeof request) > 0) write(client, answer, bytes);
    close(client);
  }
}
`;

/** Out of a box and into it, connecting, and a hundred at once. */
async function network() {
  const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  const up = [];
  for (let i = 0; i < 3; i++) {
    const times = [];
    for (const network of [false, true]) {
      const begun = performance.now();
      const box = await client.create("tiny", { network });
      times.push(performance.now() - begun);
      await box.remove({ force: true });
    }
    up.push(times[1] - times[0]);
  }

  const seconds = {};
  const sink = await listen((socket) => {
    const begun = performance.now();
    socket.resume();
    socket.on("end", () => {
      seconds.out = (performance.now() - begun) / 1000;
      socket.end();
    });
  });
  const source = await listen((socket) => {
    const begun = performance.now();
    let left = BLOCKS;
    const write = () => {
      while (left > 0) {
        left--;
        if (!socket.write(BLOCK)) return socket.once("drain", write);
      }
      socket.end();
    };
    socket.on("close", () => {
      seconds.in = (performance.now() - begun) / 1000;
    });
    socket.resume();
    write();
  });
  const echo = await listen((socket) => socket.pipe(socket));

  const box = await client.create("debian", { network: { allow: ["host.internal"] } });
  await box.upload(await readFile(new URL("network.py", import.meta.url)), "/root/network.py");
  const run = async (kind, server) => {
    const args = ["network.py", kind, "host.internal", String(server.address().port)];
    return (await box.exec("python3", args, { check: true })).stdout.trim().split(" ").map(Number);
  };
  const speeds = { out: [], in: [] };
  for (let i = 0; i < 3; i++) {
    for (const [kind, server] of Object.entries({ out: sink, in: source })) {
      await run(kind, server);
      speeds[kind].push((BLOCKS * BLOCK.byteLength) / MB / seconds[kind]);
    }
  }
  const [connect, roundTrip] = await run("connect", echo);
  await pause(3000);
  const [many] = await run("many", echo);
  await client.close();
  return {
    network_up_ms: median(up),
    network_out_mb_s: median(speeds.out),
    network_in_mb_s: median(speeds.in),
    network_connect_ms_p50: connect,
    network_echo_ms_p50: roundTrip,
    network_100_at_once_ms: many,
  };
}

/** A small wheel of an index on this machine, installed by pip. */
async function pip() {
  const wheel = Buffer.from(await emptyWheel());
  const name = "greet-1.0-py3-none-any.whl";
  const index = createHttp(({ url }, response) => {
    if (url.endsWith(name)) return response.end(wheel);
    response.setHeader("content-type", "text/html");
    response.end(`<a href="/files/${name}">${name}</a>`);
  });
  await once(index.listen(0, "127.0.0.1"), "listening");
  const place = `host.internal:${index.address().port}`;
  const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  const box = await client.create("debian", { network: { allow: ["host.internal"] } });
  const begun = performance.now();
  const options = ["--index-url", `http://${place}/simple`, "--trusted-host", "host.internal"];
  await box.exec("pip", ["install", ...options, "greet"], { check: true });
  const pip_install_ms = performance.now() - begun;
  await client.close();
  index.close();
  return { pip_install_ms };
}

/** Into a box without a network: connections to a server in it, and requests of 1 kB. */
async function ports() {
  const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  const box = await client.create("debian");
  await box.files.write("/root/server.c", SERVER);
  await box.exec("tcc -o server server.c", { check: true });
  await box.spawn("/root/server", [], { detached: true });
  await box.ports.waitFor(8000);
  const times = { connect: [], fetch: [] };
  for (let i = 0; i < REQUESTS; i++) {
    const one = performance.now();
    await (await box.connect(8000)).close();
    const two = performance.now();
    const { byteLength } = await (await box.fetch(8000, "/")).arrayBuffer();
    if (byteLength !== KB) throw new Error(`${byteLength} bytes came`);
    times.connect.push(two - one);
    times.fetch.push(performance.now() - two);
  }
  await client.close();
  return {
    port_connect_ms_p50: median(times.connect),
    port_fetch_1kb_ms_p50: median(times.fetch),
  };
}

async function listen(serve) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    serve(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

/** A wheel of one module, made by the machine's own Python. */
async function emptyWheel() {
  const { execFileSync } = await import("node:child_process");
  const program = `
import io, sys, zipfile
out = io.BytesIO()
with zipfile.ZipFile(out, "w") as wheel:
    wheel.writestr("greet.py", "print('hello')\\n")
    wheel.writestr("greet-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: greet\\nVersion: 1.0\\n")
    wheel.writestr("greet-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: bench\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("greet-1.0.dist-info/RECORD", "greet.py,,\\n")
sys.stdout.buffer.write(out.getvalue())
`;
  return execFileSync("python3", ["-c", program]);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const networkWorkloads = { network, pip, ports };
