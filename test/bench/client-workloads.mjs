/**
 * What the SDK adds to HTTP, in Node, against a server that does next to nothing (bare-server.mjs), in a process of its own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { BoxRunClient } from "boxrun";
import { median } from "./statistics.mjs";
import { BOX, EXEC, INFO, wireEvents } from "./wire-events.mjs";

const MB = 1_000_000;
const EVENTS_BYTES = 256 * MB;
const STREAMS = 5;
const ROUNDS = 400;
const WARM_UP = 100;
const SLOW_STREAM_BYTES = 1000 * MB;
const SLOWER = 10;

/** Server-sent events to the iteration over them: from a `fetch` that has the wire's bytes ready, so that no connection and no server is in the figure. */
async function events() {
  const wire = [...wireEvents(EVENTS_BYTES)];
  const fetch = async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/v1/info") return Response.json(INFO);
    if (pathname.endsWith("/exec")) return Response.json(EXEC, { status: 201 });
    if (!pathname.endsWith("/events")) return Response.json(BOX);
    return new Response(ReadableStream.from(wire), { headers: { "content-type": "text/event-stream" } });
  };
  const client = new BoxRunClient({ backend: "remote", baseUrl: "http://bench", fetch });
  const box = await client.getBox(BOX.id);
  const speeds = [];
  for (let i = 0; i < STREAMS; i++) {
    const begun = performance.now();
    const received = await drain(await box.execStream(["print"]));
    if (received < EVENTS_BYTES) throw new Error(`${received} bytes of ${EVENTS_BYTES} came`);
    speeds.push(received / MB / ((performance.now() - begun) / 1000));
  }
  await client.close();
  return { events_mb_s: median(speeds) };
}

/** A round trip of `exec`, and of the same three requests by `fetch` alone, in turns. */
async function execBesideFetch() {
  const { baseUrl, stop } = await startServer();
  const client = new BoxRunClient({ backend: "remote", baseUrl });
  const box = await client.getBox(BOX.id);
  const path = `${baseUrl}/v1/boxes/${BOX.id}/exec`;
  const byFetch = async () => {
    const headers = { "content-type": "application/json" };
    const started = await fetch(path, { method: "POST", headers, body: '{"cmd":["true"]}' });
    const { id } = await started.json();
    await (await fetch(`${path}/${id}/events?bytes=1`)).text();
    await (await fetch(`${path}/${id}`)).json();
  };
  const times = { exec: [], fetch: [] };
  for (let i = 0; i < WARM_UP + ROUNDS; i++) {
    for (const [name, call] of Object.entries({ exec: () => box.exec(["true"]), fetch: byFetch })) {
      const begun = performance.now();
      await call();
      if (i >= WARM_UP) times[name].push(performance.now() - begun);
    }
  }
  await client.close();
  await stop();
  return { exec_ms: median(times.exec), fetch_ms: median(times.fetch) };
}

/** What the process gains at most while a reader takes a stream of 1 GB ten times slower than it could. */
async function slowReader() {
  const { baseUrl, stop } = await startServer();
  const client = new BoxRunClient({ backend: "remote", baseUrl });
  const box = await client.getBox(BOX.id);
  const print = (bytes) => box.execStream(["print", String(bytes)]);
  const begun = performance.now();
  const speed = (await drain(await print(SLOW_STREAM_BYTES / 4))) / (performance.now() - begun);
  const before = process.memoryUsage.rss();
  let peak = before;
  let received = 0;
  const slowly = performance.now();
  for await (const event of await print(SLOW_STREAM_BYTES)) {
    if (event.type === "exit") break;
    received += event.bytes.byteLength;
    peak = Math.max(peak, process.memoryUsage.rss());
    const ahead = (received / speed) * SLOWER - (performance.now() - slowly);
    if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead));
  }
  if (received < SLOW_STREAM_BYTES) throw new Error(`${received} bytes of ${SLOW_STREAM_BYTES} came`);
  await client.close();
  await stop();
  return { slow_reader_extra_mb: (peak - before) / MB };
}

async function drain(execution) {
  let received = 0;
  for await (const event of execution) if (event.type === "log") received += event.bytes.byteLength;
  return received;
}

async function startServer() {
  const file = fileURLToPath(new URL("bare-server.mjs", import.meta.url));
  const child = spawn(process.execPath, [file], { stdio: ["pipe", "pipe", "inherit"] });
  const [baseUrl] = await once(createInterface(child.stdout), "line");
  return {
    baseUrl,
    stop: async () => {
      child.stdin.end();
      await once(child, "exit");
    },
  };
}

export const clientWorkloads = { events, execBesideFetch, slowReader };
