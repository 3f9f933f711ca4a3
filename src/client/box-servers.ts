import type { Backend, BoxInfo } from "../backend/backend.js";
import type { CallOptions } from "../backend/call.js";
import type {
  BoxConnection,
  BoxPorts,
  BoxWebSocket,
  Forwarding,
  ForwardOptions,
  Preview,
  WebSocketOptions,
} from "../ports/port-types.js";

/** Ways to the servers in a box: a part of {@link BoxHandle}. */
export abstract class BoxServers {
  /** Id of the box. */
  abstract readonly id: string;

  /** Creates this part of a handle. */
  constructor(private readonly through: Backend) {}

  /** Asks for the state of the box. */
  abstract refresh(options?: CallOptions): Promise<BoxInfo>;

  /** TCP ports of the box: which are open, and when one is. */
  get ports(): BoxPorts {
    const { through: backend, id } = this;
    return {
      list: async (options = {}) => (await servers()).listPorts(backend, id, options),
      waitFor: async (port, options = {}) => (await servers()).waitForPort(backend, id, port, options),
      async *watch(options = {}) {
        yield* (await servers()).watchPorts(backend, id, options);
      },
    };
  }

  /**
   * Connects to a TCP server in the box, on 127.0.0.1 or ::1. The box needs no network for it. Rejects with the signal's reason when `signal` aborts before the
   * connection is there.
   *
   * @throws {BoxRunError} PORT_CLOSED when nothing listens on the port
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   * @throws {BoxRunError} UNSUPPORTED when the server has no connections to boxes
   */
  async connect(port: number, options: CallOptions = {}): Promise<BoxConnection> {
    return (await servers()).connectTo(this.through, this.id, port, options);
  }

  /**
   * Sends an HTTP request to a server in the box, as the global `fetch` does elsewhere; of an address, the path is used. The request's `host` is "localhost:PORT".
   * Bodies stream both ways. Redirects within the server are followed.
   *
   * @throws {BoxRunError} PORT_CLOSED when nothing listens on the port
   * @throws {BoxRunError} VALIDATION_ERROR when a part of the request is none of HTTP, or an option is unknown
   * @throws {BoxRunError} PROTOCOL_ERROR when the answer is not HTTP/1.1
   * @throws {BoxRunError} STREAM_INTERRUPTED when the server closes the connection before its answer is complete
   *
   * @example
   * const response = await box.fetch(8000, "/api/items", { method: "POST", body: JSON.stringify({ name: "a" }) });
   * console.log(response.status, await response.json());
   */
  async fetch(port: number, input: string | URL | Request = "/", init: RequestInit = {}): Promise<Response> {
    const { fetchPort } = await import("../ports/fetch.js");
    return fetchPort((options) => this.connect(port, options), port, input, init);
  }

  /**
   * Opens a WebSocket to a server in the box.
   *
   * @throws {BoxRunError} PORT_CLOSED when nothing listens on the port
   * @throws {BoxRunError} PROTOCOL_ERROR when the server does not accept it; `status` is that of its answer
   *
   * @example
   * const { readable, writable } = await box.connectWebSocket(8000, "/chat");
   * const writer = writable.getWriter();
   * await writer.write("hello");
   * for await (const message of readable) console.log(message);
   */
  async connectWebSocket(port: number, path = "/", options: WebSocketOptions = {}): Promise<BoxWebSocket> {
    const { openWebSocket } = await import("../ports/web-socket.js");
    return openWebSocket((call) => this.connect(port, call), port, path, options);
  }

  /**
   * Makes a port of the box a port of this machine, in Node, Deno and Bun. A connection to it fails while nothing listens in the box. It keeps the process alive
   * until it is closed, and ends with the box.
   *
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs the box
   * @throws {BoxRunError} VALIDATION_ERROR when the port of this machine is in use, or an option is wrong
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   * @throws {BoxRunError} UNSUPPORTED in pages and edge functions
   *
   * @example
   * const { url, close } = await box.forward(8000);   // "http://127.0.0.1:40123"
   */
  async forward(port: number, options: ForwardOptions = {}): Promise<Forwarding> {
    const { forwardFrom } = await import("../ports/forward.js");
    return forwardFrom(this, port, options);
  }

  /**
   * Opens an address under which a browser shows a server in the box, WebSockets included. For a local box it is a port of this machine, in Node, Deno and Bun, and
   * in a page an origin for previews, `local.previewUrl`, to be shown in a frame of the page. On a server it is an origin of its own, with a secret in its name. It ends when it is
   * closed and when the box stops.
   *
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs the box
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   * @throws {BoxRunError} UNSUPPORTED in a page without `local.previewUrl`, or whose browser runs no service worker there, and when the server has no domain for previews
   *
   * @example
   * const preview = await box.preview(5173);
   * console.log(preview.url);   // "http://5173-p7k2….localhost:9090/"
   * await preview.close();
   */
  async preview(port: number, options: CallOptions = {}): Promise<Preview> {
    const { previewPort } = await import("../ports/preview.js");
    return previewPort(this.through, this.id, port, () => this.connect(port), options);
  }
}

/** Loads the code for ports. */
const servers = () => import("../ports/ports.js");
