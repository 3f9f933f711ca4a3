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
const STREAM_BYTES = 1000 * MB;
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

/** What the process gains at most while a reader takes a stream of 1 GB ten times slower than it could. */
async function slowReader() {
  const { baseUrl, stop } = await startServer();
  const client = new BoxRunClient({ backend: "remote", baseUrl });
  const box = await client.getBox(BOX.id);
  const print = (bytes) => box.execStream(["print", String(bytes)]);
  const begun = performance.now();
  const speed = (await drain(await print(STREAM_BYTES / 4))) / (performance.now() - begun);
  const slowly = performance.now();
  const slow_reader_extra_mb = await extraMb(async (sample) => {
    let received = 0;
    for await (const event of await print(STREAM_BYTES)) {
      if (event.type === "exit") break;
      received += event.bytes.byteLength;
      sample();
      const ahead = (received / speed) * SLOWER - (performance.now() - slowly);
      if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead));
    }
    if (received < STREAM_BYTES) throw new Error(`${received} bytes of ${STREAM_BYTES} came`);
  });
  await client.close();
  await stop();
  return { slow_reader_extra_mb };
}

/** A file of 1 GB in and out as streams: how fast, and what the process gains at most. */
async function largeFiles() {
  const { baseUrl, stop } = await startServer();
  const client = new BoxRunClient({ backend: "remote", baseUrl });
  const box = await client.getBox(BOX.id);
  const chunk = new Uint8Array(64 * 1024);
  const source = (bytes, sample) => {
    let left = bytes;
    return new ReadableStream(
      {
        pull: (controller) => {
          sample();
          controller.enqueue(chunk.subarray(0, left));
          left -= Math.min(left, chunk.byteLength);
          if (left === 0) controller.close();
        },
      },
      { highWaterMark: 0 },
    );
  };
  const upload = (bytes, sample) => box.upload(source(bytes, sample), "/file");
  const download = async (bytes, sample) => {
    const reader = (await box.download(`/${bytes}`)).stream().getReader();
    let received = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      received += value.byteLength;
      sample();
    }
    if (received !== bytes) throw new Error(`${received} bytes of ${bytes} came`);
  };
  const figures = {};
  for (const [name, transfer] of Object.entries({ upload, download })) {
    await transfer(STREAM_BYTES / 8, () => {});
    const begun = performance.now();
    figures[`client_${name}_extra_mb`] = await extraMb((sample) => transfer(STREAM_BYTES, sample));
    figures[`client_${name}_mb_s`] = STREAM_BYTES / MB / ((performance.now() - begun) / 1000);
  }
  await client.close();
  await stop();
  return figures;
}

/** How much more memory the process has, at most, whenever `work` takes a sample, than before. */
async function extraMb(work) {
  const before = process.memoryUsage.rss();
  let peak = before;
  await work(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  });
  return (peak - before) / MB;
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

export const clientWorkloads = { events, slowReader, largeFiles };
