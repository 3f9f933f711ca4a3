/** Script in previewed pages: WebSockets do not pass a service worker, so those to the page's own origin take the way of its requests. */
import { CUT, type PreviewSocket, type SocketCall, type SocketEvent } from "./messages.js";
import { answerPings } from "./pulse.js";

const Native = globalThis.WebSocket;
const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3];

/** Those that are open. Nobody else notices that their page is left. */
const open = new Set<BoxSocket>();
addEventListener("pagehide", () => {
  for (const socket of open) socket.close();
});

/** A WebSocket to the server in the box, with the interface of the browser's own. */
class BoxSocket extends EventTarget {
  readonly url: string;
  readonly extensions = "";
  readonly bufferedAmount = 0;
  protocol = "";
  readyState = CONNECTING;
  binaryType: BinaryType = "blob";
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onclose: ((event: Event) => void) | null = null;
  private readonly channel = new MessageChannel();
  private readonly stopPulse: () => void;

  constructor(url: URL, protocols: string[]) {
    super();
    this.url = url.href;
    const message: PreviewSocket = { type: "socket", path: `${url.pathname}${url.search}`, protocols };
    const cut: SocketEvent = { type: "close", code: CUT, reason: "" };
    const { port1 } = this.channel;
    this.stopPulse = answerPings<SocketEvent>(
      port1,
      (event) => this.take(event),
      () => this.take(cut),
    );
    port1.addEventListener("close", () => this.take(cut));
    const { controller } = navigator.serviceWorker;
    open.add(this);
    if (controller) controller.postMessage(message, [this.channel.port2]);
    else queueMicrotask(() => this.take(cut));
  }

  send(data: string | Blob | BufferSource): void {
    if (this.readyState === CONNECTING) throw new DOMException("still connecting", "InvalidStateError");
    if (this.readyState !== OPEN) return;
    if (data instanceof Blob) data.arrayBuffer().then((bytes) => this.send(bytes));
    else if (typeof data === "string") this.call({ type: "send", data });
    else if (ArrayBuffer.isView(data))
      this.call({
        type: "send",
        data: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength).slice(),
      });
    else this.call({ type: "send", data: new Uint8Array(data.slice(0)) });
  }

  close(code?: number, reason = ""): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999))
      throw new DOMException(`code ${code} is none of a page`, "InvalidAccessError");
    if (this.readyState >= CLOSING) return;
    this.readyState = CLOSING;
    this.call({ type: "close", code, reason });
  }

  private call(call: SocketCall): void {
    this.channel.port1.postMessage(call);
  }

  private take(event: SocketEvent): void {
    if (this.readyState === CLOSED) return;
    if (event.type === "open") {
      if (this.readyState !== CONNECTING) return;
      this.readyState = OPEN;
      this.protocol = event.protocol;
      return this.tell(new Event("open"));
    }
    if (event.type === "message") {
      const { data: given } = event;
      const data =
        typeof given === "string" ? given : this.binaryType === "blob" ? new Blob([given]) : given.buffer;
      return this.tell(new MessageEvent("message", { data, origin: new URL(this.url).origin }));
    }
    this.readyState = CLOSED;
    open.delete(this);
    this.stopPulse();
    this.channel.port1.close();
    const { code, reason } = event;
    if (code === CUT) this.tell(new Event("error"));
    this.tell(new CloseEvent("close", { code, reason, wasClean: code !== CUT }));
  }

  private tell(event: Event): void {
    this.dispatchEvent(event);
    this[`on${event.type}` as "onopen"]?.(event);
  }
}

Object.assign(BoxSocket, { CONNECTING, OPEN, CLOSING, CLOSED });
Object.assign(BoxSocket.prototype, { CONNECTING, OPEN, CLOSING, CLOSED });

globalThis.WebSocket = new Proxy(Native, {
  construct(native, [address, protocols = []]: [string | URL, (string | string[])?]) {
    const url = new URL(address, location.href);
    if (url.host !== location.host) return new native(address, protocols);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    return new BoxSocket(url, [protocols].flat());
  },
  get: (native, name) => Reflect.get(native, name),
});
Object.defineProperty(Native, Symbol.hasInstance, {
  value: (socket: unknown) =>
    socket instanceof BoxSocket || Function.prototype[Symbol.hasInstance].call(Native, socket),
});
