/** Service worker of an origin for previews: it answers every request of a previewed page through the application's page, which asks the box. */
import {
  CUT,
  FILES,
  type PreviewRequest,
  type ReaderMessage,
  type ResponsePart,
  type SocketEvent,
} from "./messages.js";
import { answerPings } from "./pulse.js";

/** Most bytes of a request's body, which is not streamed. */
const MAX_BODY_BYTES = 64 * 2 ** 20;
/** Statuses whose responses have no body. */
const EMPTY = [101, 204, 205, 304];
/** Headers that are void behind a service worker: the body is inflated already, and the page is in a frame by design. */
const DROPPED = ["content-encoding", "content-length", "transfer-encoding", "x-frame-options"];
/** Cache of the origin's own files, for the times without a network. */
const CACHE = "boxrun-preview";
/** Start of a document, before which nothing may be inserted. */
const DOCTYPE = /^\uFEFF?\s*(?:<!--[\s\S]*?-->\s*)*(?:<!doctype[^>]*>)?/i;

const scope = globalThis as unknown as ServiceWorkerScope;
interface ServiceWorkerScope {
  skipWaiting(): Promise<void>;
  clients: {
    claim(): Promise<void>;
    matchAll(options: { type: "window"; includeUncontrolled: boolean }): Promise<FrameClient[]>;
  };
  addEventListener(type: string, listener: (event: WorkerEvent) => void): void;
}
interface WorkerEvent extends Event {
  request: Request;
  data: unknown;
  ports: readonly MessagePort[];
  waitUntil(work: Promise<unknown>): void;
  respondWith(response: Promise<Response>): void;
}
interface FrameClient {
  url: string;
  postMessage(message: unknown, transfer: Transferable[]): void;
}

/** Address of the folder of these files, which ends in "/". */
const home = new URL("./", location.href).href;
const own = new Set(Object.values(FILES).map((file) => home + file));

scope.addEventListener("install", (event) => event.waitUntil(keepOwn().then(() => scope.skipWaiting())));
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener("message", (event) => event.waitUntil(openSocket(event.data, event.ports)));
scope.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (url.origin !== location.origin) return;
  const file = `${url.origin}${url.pathname}`;
  event.respondWith(own.has(file) ? ownFile(event.request, file) : answer(event.request, url));
});

/** Keeps the origin's own files. Where nothing can be kept, previews work as long as the network does. */
async function keepOwn(): Promise<void> {
  const requests = [...own].map((file) => new Request(file, { cache: "no-cache" }));
  await caches
    .open(CACHE)
    .then((cache) => cache.addAll(requests))
    .catch(() => {});
}

async function ownFile(request: Request, file: string): Promise<Response> {
  return fetch(request).catch(async (error) => {
    const kept = await caches.match(file, { cacheName: CACHE });
    if (kept) return kept;
    throw error;
  });
}

/** Passes a message on to the application's page. Returns false when there is none. The page that came last counts: this worker remembers nothing, since browsers end it at will. */
async function passOn(message: unknown, transfer: Transferable[]): Promise<boolean> {
  const clients = await scope.clients.matchAll({ type: "window", includeUncontrolled: true });
  const since = ({ url }: FrameClient) => Number(new URL(url).hash.slice(1)) || 0;
  const [frame] = clients
    .filter(({ url }) => url.startsWith(`${home}${FILES.page}#`))
    .sort((one, other) => since(other) - since(one));
  frame?.postMessage(message, transfer);
  return frame !== undefined;
}

/** Passes on that a page opens a WebSocket, or cuts that. */
async function openSocket(message: unknown, ports: readonly MessagePort[]): Promise<void> {
  if (await passOn(message, [...ports])) return;
  const cut: SocketEvent = { type: "close", code: CUT, reason: "" };
  ports[0]?.postMessage(cut);
}

async function answer(request: Request, url: URL): Promise<Response> {
  const { method } = request;
  const bytes = method === "GET" || method === "HEAD" ? undefined : await request.arrayBuffer();
  if (bytes && bytes.byteLength > MAX_BODY_BYTES)
    return note(413, `A preview takes requests of up to ${MAX_BODY_BYTES} bytes.`);
  const body = bytes?.byteLength ? bytes : undefined;
  const path = `${url.pathname}${url.search}`;
  const message: PreviewRequest = { type: "request", method, path, headers: [...request.headers], body };
  const { port1, port2 } = new MessageChannel();
  if (!(await passOn(message, body ? [port2, body] : [port2])))
    return note(503, "This preview is closed. It is there while the page that has opened it is.");
  const cancel: ReaderMessage = { type: "cancel" };
  const parts = partsOf(port1);
  request.signal.addEventListener("abort", () => {
    port1.postMessage(cancel);
    parts.end();
  });
  const head = await parts.next();
  if (head.type !== "head") parts.end();
  if (head.type === "error") return note(502, head.message);
  if (head.type !== "head") return note(502, "The page that has opened this preview gave no answer.");
  const { status, statusText } = head;
  const headers = new Headers(head.headers.filter(([name]) => !DROPPED.includes(name)).map(inFrame));
  // Servers of a box often do not say how long an answer may be used, and browsers guess: what was edited would not be shown.
  if (!headers.has("cache-control")) headers.set("cache-control", "no-cache");
  const hasBody = method !== "HEAD" && !EMPTY.includes(status);
  const isPage = request.mode === "navigate" && /^text\/html\b/i.test(headers.get("content-type") ?? "");
  const stream = hasBody ? bodyOf(port1, parts) : null;
  if (!stream) parts.end();
  return new Response(isPage && stream ? withSocket(stream) : stream, { status, statusText, headers });
}

/** Leaves out of a policy which pages may have this one in a frame. */
function inFrame([name, value]: [string, string]): [string, string] {
  if (name !== "content-security-policy") return [name, value];
  return [name, value.replace(/(^|[;,])\s*frame-ancestors[^;,]*/gi, "$1")];
}

/** Messages of a port, each of which is asked for. */
interface Parts {
  /** Resolves to the next message; to an error when the page is gone. */
  next(): Promise<ResponsePart>;
  /** Asks for no more. */
  end(): void;
}

function partsOf(port: MessagePort): Parts {
  let take = (_part: ResponsePart) => {};
  let failed: ResponsePart | undefined;
  const lose = () => {
    failed = { type: "error", message: "The page that has opened this preview is gone." };
    end();
    take(failed);
  };
  const end = answerPings<ResponsePart>(port, (part) => take(part), lose);
  port.addEventListener("close", lose);
  return {
    next: () =>
      new Promise((resolve) => {
        take = resolve;
        if (failed) resolve(failed);
      }),
    end,
  };
}

function bodyOf(port: MessagePort, parts: Parts): ReadableStream<Uint8Array> {
  const send = (message: ReaderMessage) => port.postMessage(message);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const part = parts.next();
        send({ type: "pull" });
        const got = await part;
        if (got.type === "chunk") return controller.enqueue(got.bytes);
        parts.end();
        port.close();
        if (got.type === "end") return controller.close();
        controller.error(new Error(got.type === "error" ? got.message : "the answer is out of order"));
      },
      cancel: () => {
        send({ type: "cancel" });
        parts.end();
      },
    },
    { highWaterMark: 0 },
  );
}

/** Puts the script that replaces WebSocket before everything else in a document. */
function withSocket(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  let isFirst = true;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        if (!isFirst) return controller.enqueue(chunk);
        isFirst = false;
        // A character for each byte: the document may have any encoding that begins as ASCII does.
        const start = Array.from(chunk.subarray(0, 4096), (byte) => String.fromCharCode(byte)).join("");
        const at = DOCTYPE.exec(start.replace(/^\u00ef\u00bb\u00bf/, "   "))?.[0].length ?? 0;
        controller.enqueue(chunk.subarray(0, at));
        controller.enqueue(new TextEncoder().encode(`<script src="${home}${FILES.socket}"></script>`));
        controller.enqueue(chunk.subarray(at));
      },
    }),
  );
}

function note(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}
