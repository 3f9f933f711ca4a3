/** Previews in a page: the page answers for the box to a service worker on another origin, which shows the box's pages. */
import type { BackendPreview, Connection } from "../backend/backend.js";
import type { CallOptions } from "../backend/call.js";
import { BoxRunError, invalid, unsupported } from "../backend/errors.js";
import {
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
import { deferred } from "../util/deferred.js";
import { startTimer } from "../util/timer.js";
import { fetchPort } from "./fetch.js";
import type { BoxWebSocket } from "./port-types.js";
import { openWebSocket } from "./web-socket.js";

/** Time for the frame to load and its service worker to start. */
const START_MS = 20_000;
/** Most requests and WebSockets of a preview that are open at once. */
const MAX_OPEN = 256;
const LOOPBACK = /^(?:localhost|.*\.localhost|127\.0\.0\.1|\[::1\])$/;
/** Code of a WebSocket that was cut. */
const CUT = 1006;

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

/** Returns the address of the origin of a preview. @throws {BoxRunError} VALIDATION_ERROR */
function homeOf(place: string): string {
  const name = crypto.randomUUID().replaceAll("-", "");
  let url: URL;
  try {
    url = new URL(place.replace("*", name));
  } catch {
    throw invalid(`local.previewUrl must be a URL such as "https://preview.example.com/", got "${place}"`);
  }
  const { protocol, hostname, origin, href } = url;
  if (href !== `${origin}/`)
    throw invalid(`local.previewUrl must be an origin, since pages use paths from its root, got "${place}"`);
  if (origin === location.origin)
    throw invalid(
      `local.previewUrl must not be the page's own origin, ${origin}: pages of the box would have all that this one has`,
    );
  const isSecure = protocol === "https:" || (protocol === "http:" && LOOPBACK.test(hostname));
  if (!isSecure)
    throw invalid(`local.previewUrl must begin with https://, or be on this machine, got "${place}"`);
  return href;
}

/** The port on which a preview asks. What comes from it is the box's pages' to choose, and leads to one port of one box. */
class PreviewPort {
  private readonly open = new Set<AbortController>();
  private isClosed = false;

  constructor(
    private readonly messages: MessagePort,
    private readonly connect: Connect,
    private readonly port: number,
    onAnswer: (answer: FrameAnswer) => void,
  ) {
    messages.onmessage = ({ data, ports: [reply] }) => {
      const message = data as FrameAnswer | PreviewRequest | PreviewSocket;
      if (message.type === "ready" || message.type === "failed") return onAnswer(message);
      if (!reply) return;
      if (this.isClosed || this.open.size >= MAX_OPEN || !message.path?.startsWith?.("/"))
        return reply.close();
      if (message.type === "request") void this.answer(message, reply);
      else if (message.type === "socket") void this.openSocket(message, reply);
    };
  }

  close(): void {
    this.isClosed = true;
    for (const one of this.open) one.abort();
    this.messages.close();
  }

  private async answer(request: PreviewRequest, reply: MessagePort): Promise<void> {
    const aborted = new AbortController();
    const { signal } = aborted;
    const send = (part: ResponsePart) =>
      reply.postMessage(part, part.type === "chunk" ? [part.bytes.buffer] : []);
    const end = (part: ResponsePart) => {
      this.open.delete(aborted);
      send(part);
    };
    this.open.add(aborted);
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
    const sendNext = async () => {
      try {
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
        if (done) end({ type: "end" });
        else send({ type: "chunk", bytes: value.slice() });
      } catch (error) {
        end({ type: "error", message: messageOf(error) });
      }
    };
    reply.onmessage = ({ data }) => {
      if ((data as ReaderMessage).type === "pull") return void sendNext();
      this.open.delete(aborted);
      aborted.abort();
    };
    try {
      const { method, path, headers, body = null } = request;
      const response = await fetchPort(this.connect, this.port, path, {
        ...{ method, headers, body, signal },
        redirect: "manual",
      });
      reader = response.body?.getReader();
      const { status, statusText } = response;
      send({
        type: "head",
        status,
        statusText,
        headers: [...response.headers].map((one) => this.shown(one)),
      });
      // Nobody asks for the body that is none.
      if (!reader) this.open.delete(aborted);
    } catch (error) {
      end({ type: "error", message: messageOf(error) });
    }
  }

  private async openSocket({ path, protocols }: PreviewSocket, reply: MessagePort): Promise<void> {
    const aborted = new AbortController();
    const { signal } = aborted;
    const send = (event: SocketEvent) => reply.postMessage(event);
    this.open.add(aborted);
    let socket: BoxWebSocket | undefined;
    try {
      socket = await openWebSocket(this.connect, this.port, path, { protocols, signal });
      const writer = socket.writable.getWriter();
      reply.onmessage = ({ data }) => {
        const call = data as SocketCall;
        if (call.type === "send") writer.write(call.data).catch(() => {});
        else socket?.close(call.code, call.reason).catch(() => {});
      };
      send({ type: "open", protocol: socket.protocol });
      // WebKit cannot iterate over streams.
      const reader = socket.readable.getReader();
      for (let got = await reader.read(); !got.done; got = await reader.read())
        send({ type: "message", data: typeof got.value === "string" ? got.value : got.value.slice() });
      send({ type: "close", ...(await socket.closed) });
    } catch {
      send({ type: "close", code: CUT, reason: "" });
    } finally {
      this.open.delete(aborted);
      aborted.abort();
      reply.close();
    }
  }

  /** Returns a header as the previewed page is to see it: an address of the server is one of the preview. */
  private shown([name, value]: [string, string]): [string, string] {
    if (name !== "location") return [name, value];
    return [
      name,
      value.replace(new RegExp(`^https?://(?:localhost|127\\.0\\.0\\.1):${this.port}(?=/|$)`), ""),
    ];
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
