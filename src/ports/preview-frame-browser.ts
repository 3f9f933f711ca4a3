/** Previews in a page: the page answers for the box to a service worker on another origin, which shows the box's pages. */
import type { BackendPreview, Connection } from "../backend/backend.js";
import type { CallOptions } from "../backend/call.js";
import { BoxRunError, invalid, unsupported } from "../backend/errors.js";
import {
  CUT,
  FILES,
  type FrameAnswer,
  HELLO,
  type PreviewRequest,
  type PreviewSocket,
  type ReaderMessage,
  type ResponsePart,
  type SocketCall,
  type SocketEvent,
} from "../preview/messages.js";
import { pingPort } from "../preview/pulse.js";
import { deferred } from "../util/deferred.js";
import { startTimer } from "../util/timer.js";
import { fetchPort } from "./fetch.js";
import type { BoxWebSocket } from "./port-types.js";
import { previewHome } from "./preview-url.js";
import { openWebSocket } from "./web-socket.js";

/** Time for the frame to load and its service worker to start. */
const START_MS = 20_000;
/** Most requests and WebSockets of a preview that are open at once. */
const MAX_OPEN = 256;
/** Most bytes of bodies of requests that are under way. */
const MAX_BODIES_BYTES = 128 * 2 ** 20;
/** Most bytes that a WebSocket holds for a server that does not read. */
const MAX_QUEUED_BYTES = 16 * 2 ** 20;
/** Hosts under which a server in the box knows itself. */
const HERE = ["localhost", "127.0.0.1", "[::1]"];

/** A request or WebSocket that is open. */
interface Open {
  readonly aborted: AbortController;
  /** Notes a sign of life of the other side. */
  heard(): void;
  /** Stops asking for signs of life. */
  stop(): void;
}

type Connect = (options?: CallOptions) => Promise<Connection>;

/**
 * Opens a preview of a port by the files of `boxrun preview` on another origin.
 *
 * @param place address of that origin; a "*" in it stands for a name of the preview's own
 */
export async function openPreviewFrame(
  connect: Connect,
  port: number,
  place: string,
): Promise<BackendPreview> {
  if (typeof document === "undefined")
    throw unsupported("preview needs the document of a page, which a Worker has not", "open it in the page");
  const home = homeOf(place);
  const frame = document.createElement("iframe");
  frame.hidden = true;
  frame.title = "BoxRun preview";
  // The newest frame answers: see passOn of the service worker.
  frame.src = `${home}${FILES.page}#${Date.now()}`;
  const { port1, port2 } = new MessageChannel();
  const answer = deferred<FrameAnswer>();
  const opened = new PreviewPort(port1, connect, port, answer.resolve);
  const stopTimer = startTimer(START_MS, () =>
    answer.resolve({
      type: "failed",
      reason: `no answer from ${home}${FILES.page} within ${START_MS / 1000} seconds: serve the files of "npx boxrun preview" there`,
    }),
  );
  frame.addEventListener("load", () => frame.contentWindow?.postMessage(HELLO, home, [port2]), {
    once: true,
  });
  document.body.append(frame);
  const close = async () => {
    opened.close();
    frame.remove();
  };
  const result = await answer.promise;
  stopTimer();
  if (result.type === "ready") return { url: home, close };
  await close();
  throw new BoxRunError("UNSUPPORTED", `the preview could not be opened: ${result.reason}`, {
    hint: "a browser that blocks third-party cookies may also block service workers in frames of other sites: use an origin of the page's own site",
  });
}

/** Returns the address of the origin of a preview, which is not this page's. @throws {BoxRunError} VALIDATION_ERROR */
function homeOf(place: string): string {
  const home = previewHome(place);
  const { origin } = location;
  if (home === `${origin}/`)
    throw invalid(
      `local.previewUrl must not be the page's own origin, ${origin}: pages of the box would have all that this one has`,
    );
  return home;
}

/** The port on which a preview asks. What comes from it is the box's pages' to choose, and leads to one port of one box. */
class PreviewPort {
  private readonly open = new Set<Open>();
  private bodiesBytes = 0;
  private isClosed = false;

  constructor(
    private readonly messages: MessagePort,
    private readonly connect: Connect,
    private readonly port: number,
    onAnswer: (answer: FrameAnswer) => void,
  ) {
    messages.onmessage = ({ data, ports: [reply] }) => {
      const message = data as FrameAnswer | PreviewRequest | PreviewSocket;
      if (message.type === "ready" || message.type === "failed") onAnswer(message);
      else if (reply) this.take(message, reply);
    };
  }

  close(): void {
    this.isClosed = true;
    for (const one of this.open) this.end(one);
    this.messages.close();
  }

  private take(message: PreviewRequest | PreviewSocket, reply: MessagePort): void {
    const bytes = message.type === "request" ? (message.body?.byteLength ?? 0) : 0;
    const isFull = this.open.size >= MAX_OPEN || this.bodiesBytes + bytes > MAX_BODIES_BYTES;
    if (this.isClosed || isFull) refuse(message, reply, "the preview takes no more requests at once");
    else if (typeof message.path !== "string" || !message.path.startsWith("/"))
      refuse(message, reply, "the path of a request must begin with /");
    else if (message.type === "request") void this.answer(message, reply, bytes);
    else void this.openSocket(message, reply);
  }

  /** Begins with a request or WebSocket, which ends when its other side is gone. */
  private begin(reply: MessagePort): Open {
    const aborted = new AbortController();
    const one: Open = { aborted, ...pingPort(reply, () => this.end(one)) };
    this.open.add(one);
    // Not every browser reports that.
    reply.addEventListener("close", () => this.end(one));
    return one;
  }

  private end(one: Open): void {
    this.finish(one);
    one.aborted.abort();
  }

  private finish(one: Open): void {
    this.open.delete(one);
    one.stop();
  }

  private async answer(request: PreviewRequest, reply: MessagePort, bytes: number): Promise<void> {
    const one = this.begin(reply);
    const { signal } = one.aborted;
    const send = (part: ResponsePart) =>
      reply.postMessage(part, part.type === "chunk" ? [part.bytes.buffer] : []);
    const sendLast = (part: ResponsePart) => {
      this.finish(one);
      send(part);
    };
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
    const sendNext = async () => {
      try {
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
        if (done) sendLast({ type: "end" });
        else send({ type: "chunk", bytes: value.slice() });
      } catch (error) {
        sendLast({ type: "error", message: messageOf(error) });
      }
    };
    reply.onmessage = ({ data }) => {
      const { type } = data as ReaderMessage;
      one.heard();
      if (type === "pull") void sendNext();
      else if (type === "cancel") this.end(one);
    };
    this.bodiesBytes += bytes;
    try {
      const { method, path, headers, body = null } = request;
      const response = await fetchPort(this.connect, this.port, path, {
        ...{ method, headers, body, signal },
        redirect: "manual",
      });
      reader = response.body?.getReader();
      const { status, statusText } = response;
      const shown = [...response.headers].map((one) => this.shown(one, path));
      send({ type: "head", status, statusText, headers: shown });
      // Nobody asks for the body that is none.
      if (!reader) this.finish(one);
    } catch (error) {
      sendLast({ type: "error", message: messageOf(error) });
    } finally {
      this.bodiesBytes -= bytes;
    }
  }

  private async openSocket({ path, protocols }: PreviewSocket, reply: MessagePort): Promise<void> {
    const one = this.begin(reply);
    const { aborted } = one;
    const { signal } = aborted;
    const send = (event: SocketEvent) => reply.postMessage(event);
    let socket: BoxWebSocket | undefined;
    let writer: WritableStreamDefaultWriter<string | Uint8Array> | undefined;
    let queuedBytes = 0;
    const pass = (data: string | Uint8Array) => {
      queuedBytes += data.length;
      if (queuedBytes > MAX_QUEUED_BYTES) return aborted.abort();
      const written = () => {
        queuedBytes -= data.length;
      };
      writer?.write(data).then(written, () => {});
    };
    reply.onmessage = ({ data }) => {
      const call = data as SocketCall;
      one.heard();
      if (call.type === "pong") return;
      if (call.type === "send") pass(call.data);
      else if (socket) socket.close(call.code, call.reason).catch(() => aborted.abort());
      else aborted.abort();
    };
    try {
      socket = await openWebSocket(this.connect, this.port, path, { protocols, signal });
      writer = socket.writable.getWriter();
      send({ type: "open", protocol: socket.protocol });
      // WebKit cannot iterate over streams.
      const reader = socket.readable.getReader();
      for (let got = await reader.read(); !got.done; got = await reader.read())
        send({ type: "message", data: typeof got.value === "string" ? got.value : got.value.slice() });
      send({ type: "close", ...(await socket.closed) });
    } catch {
      send({ type: "close", code: CUT, reason: "" });
    } finally {
      this.end(one);
      reply.close();
    }
  }

  /** Returns a header as the previewed page is to see it: an address of the server is one of the preview. */
  private shown([name, value]: [string, string], path: string): [string, string] {
    if (name !== "location") return [name, value];
    let url: URL;
    try {
      url = new URL(value, `http://localhost:${this.port}${path}`);
    } catch {
      return [name, value];
    }
    const isHere =
      url.protocol === "http:" && HERE.includes(url.hostname) && Number(url.port || 80) === this.port;
    return [name, isHere ? `${url.pathname}${url.search}${url.hash}` : value];
  }
}

function refuse({ type }: PreviewRequest | PreviewSocket, reply: MessagePort, message: string): void {
  const part: ResponsePart = { type: "error", message };
  const event: SocketEvent = { type: "close", code: CUT, reason: "" };
  reply.postMessage(type === "socket" ? event : part);
  reply.close();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
