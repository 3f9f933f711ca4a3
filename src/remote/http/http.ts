import type * as z from "zod/mini";
import { isBoxRunError } from "../../backend/errors.js";
import { ROUTES, type RouteName } from "../../contract/routes.js";
import type { WebSocketLike } from "../../sockets/web-socket-types.js";
import { untilAborted } from "../../util/abort.js";
import { startTimer } from "../../util/timer.js";
import { BodyReader } from "./body-reader.js";
import { type Call, lineOf } from "./call.js";
import { connectionFailed, readJson } from "./failures.js";
import { OpenCalls } from "./open-calls.js";
import type { RemoteOptions } from "./options.js";
import { Sender, TooLate } from "./sender.js";

/** Requests to one server, by the route table, until the client closes. Rejects with a `BoxRunError` or the signal's reason. */
export class Http extends Sender {
  private readonly calls = new OpenCalls();
  private readonly onClose: (() => void) | undefined;
  private closed: Promise<void> | undefined;

  constructor(options: RemoteOptions) {
    super(options);
    this.onClose = options.onClose;
  }

  /** Signal that aborts when this client closes. */
  get life(): AbortSignal {
    return this.calls.life;
  }

  /** Sends a request and reads its answer by `schema`. */
  async json<T extends z.ZodMiniType>(name: RouteName, schema: T, call: Call = {}): Promise<z.infer<T>> {
    const { life, end } = this.calls.begin(call);
    try {
      const response = await this.send(name, call, life.signal, { whole: true });
      return readJson(schema, (await response.text()) || "{}", lineOf(name, call));
    } finally {
      end();
    }
  }

  /** Sends a request whose answer is a stream. The caller reads it to its end, or cancels it. */
  async open(name: RouteName, call: Call = {}): Promise<{ response: Response; body: BodyReader }> {
    const { life, end } = this.calls.begin(call);
    try {
      const response = await this.send(name, call, life.signal, { whole: false });
      const { silenceMs } = this.clocks;
      const options = { line: lineOf(name, call), signal: life.signal, silenceMs, onEnd: end };
      return { response, body: new BodyReader(response.body, options) };
    } catch (error) {
      end();
      throw error;
    }
  }

  /**
   * Opens a WebSocket, and resolves to the result of `use` once it is open. `use` gets the socket at once, since messages that arrive with the opening answer
   * are lost to later listeners. `life` aborts when the socket is to end, by its caller's signal or with this client, and `end` reports that it has ended.
   */
  async webSocket<T>(
    name: RouteName,
    call: Call,
    use: (socket: WebSocketLike, life: AbortSignal, end: () => void) => T,
  ): Promise<T> {
    const { life, end } = this.calls.begin(call);
    const { signal } = life;
    const { requestMs } = this.clocks;
    const stop = startTimer(requestMs, () =>
      life.abort(connectionFailed(lineOf(name, call), this.name, new TooLate(requestMs))),
    );
    try {
      const { opened } = await import("../../sockets/web-socket.js");
      const socket = await this.socket(name, call, signal);
      socket.binaryType = "arraybuffer";
      const used = use(socket, signal, end);
      try {
        await untilAborted(opened(socket, `${ROUTES[name].path} (${this.name})`), signal);
      } catch (error) {
        socket.close();
        throw error;
      }
      return used;
    } catch (error) {
      end();
      throw error;
    } finally {
      stop();
    }
  }

  /** Ends all requests; those that clean up get a moment more. Later requests are refused. Idempotent. */
  close(): Promise<void> {
    this.closed ??= this.calls.close().then(() => this.onClose?.());
    return this.closed;
  }

  /** Makes closing wait for `work`, which consists of calls that outlive the client. */
  cleanUp<T>(work: Promise<T>): Promise<T> {
    return this.calls.cleanUp(work);
  }
}

/** Returns true for the error of an answer to a repeatable request that broke off or did not come. */
export function isDropped(error: unknown): boolean {
  return isBoxRunError(error) && error.retryable;
}
