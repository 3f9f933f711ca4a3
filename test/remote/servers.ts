import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { Backend, BackendEvent } from "../../src/backend/backend.js";
import { connectRemote, type RemoteOptions } from "../../src/remote/index.js";

/** What a test's server does with a request. */
export type Handle = (request: Seen, response: ServerResponse) => void;

/** A request, its body read. */
export interface Seen {
  method: string;
  /** With its query. */
  path: string;
  headers: IncomingMessage["headers"];
  body: string;
}

export interface TestServer {
  baseUrl: string;
  /** All requests so far. */
  seen: Seen[];
  /** Resolves when `count` requests of this path have come. */
  came(path: RegExp, count?: number): Promise<void>;
  /** From then on nobody listens there. */
  stop(): Promise<void>;
}

export const PLAIN = { max_cpu: 8, max_memory_mb: 8192 };
export const OURS = {
  ...PLAIN,
  server: "boxrun-ts/0.1.0",
  capabilities: ["bytes", "cursor", "stdin", "signal", "usage", "images", "extended"],
};

export const BOX = {
  id: "box_0123456789ab",
  name: null,
  status: "running",
  image: "alpine",
  cpu: 2,
  memory_mb: 1024,
  disk_size_gb: 8,
  network: false,
  workdir: "/root",
  env: null,
  volumes: null,
  created_at: "2026-01-01T00:00:00Z",
  started_at: "2026-01-01T00:00:01+00:00",
  stopped_at: null,
};
export const EXEC = {
  id: "exec_0123456789ab",
  box_id: BOX.id,
  status: "running",
  cmd: ["true"],
  created_at: "2026-01-01T00:00:00Z",
};
export const ENDED = { ...EXEC, status: "failed", exit_code: 3, finished_at: "2026-01-01T00:00:02Z" };
/** Of a box to create. */
export const SPEC = {
  image: "alpine",
  name: null,
  cpu: 2,
  memoryMb: 1024,
  diskSizeGb: 8,
  network: false,
  workdir: "/root",
  env: null,
  volumes: null,
};

/** A server on a port of its own, for the length of a test. */
export async function startServer(handle: Handle): Promise<TestServer> {
  const seen: Seen[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    const { method = "", url = "", headers } = request;
    const chunks: Buffer[] = [];
    request.on("error", () => {});
    response.on("error", () => {});
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const entry = { method, path: url, headers, body: Buffer.concat(chunks).toString() };
      seen.push(entry);
      for (const check of waiting) check();
      handle(entry, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    seen,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    came: (path, count = 1) =>
      new Promise((resolve) => {
        const check = () => {
          if (seen.filter((entry) => path.test(entry.path)).length < count) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
  };
}

/** Answers with JSON. */
export function json(response: ServerResponse, value: unknown, status = 200, headers = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}

/** Starts an event stream. */
export function sse(response: ServerResponse): ServerResponse {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
  return response;
}

export function log(seq: number, data: string, stream = "stdout", more = {}): string {
  return `event: log\ndata: ${JSON.stringify({ stream, data, seq, ...more })}\n\n`;
}

export function exit(seq: number, exitCode: number | null): string {
  const data = JSON.stringify({ exit_code: exitCode });
  return `event: exit\ndata: ${JSON.stringify({ stream: null, data, seq })}\n\n`;
}

/** A server that says what it is, and leaves the rest to `handle`; and the backend over it. */
export async function serve(
  info: object,
  handle: Handle,
  options: Partial<RemoteOptions> = {},
): Promise<{ server: TestServer; backend: Backend }> {
  const server = await startServer((request, response) =>
    request.path === "/v1/info" ? json(response, info) : handle(request, response),
  );
  const backend = await connectRemote({ baseUrl: server.baseUrl, backoffMs: 1, ...options });
  onTestFinished(() => backend.close());
  return { server, backend };
}

/** All events of the execution, in words. */
export async function follow(
  backend: Backend,
  options: { after?: number; signal?: AbortSignal } = {},
): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of backend.execEvents(BOX.id, EXEC.id, { after: 0, ...options }))
    seen.push(show(event));
  return seen;
}

function show(event: BackendEvent): string {
  if (event.type === "exit") return `exit ${event.seq} ${event.exitCode}`;
  return `${event.stream} ${event.seq} ${new TextDecoder().decode(event.bytes)}`;
}

/** Asks for the events of an execution. */
export const isEvents = ({ path }: Seen) => path.includes("/events");

/** As our own servers, with operations on files. */
export const WITH_FILES = { ...OURS, capabilities: [...OURS.capabilities, "files"] };
/** An entry of a directory, but for its name. */
export const FILE = {
  type: "file",
  size: 1,
  mode: 0o644,
  modified_at: "2026-01-02T03:04:05.678Z",
  uid: 0,
  gid: 0,
};
