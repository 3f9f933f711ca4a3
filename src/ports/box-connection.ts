import type { Connection } from "../backend/backend.js";
import { asyncDispose } from "../util/dispose.js";
import { inspect } from "../util/inspect.js";
import type { BoxConnection } from "./port-types.js";

/** A backend's connection as its caller has it. */
export class OpenConnection implements BoxConnection {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /** A property, so that it may be taken from the object. */
  readonly close = (): Promise<void> => this.inner.close();

  /** Gives a connection to the port its outer form. */
  constructor(
    private readonly inner: Connection,
    private readonly port: number,
  ) {
    this.readable = inner.readable;
    this.writable = inner.writable;
  }

  // Not before somebody asks: from then on, a local one keeps the process alive.
  get closed(): Promise<void> {
    return this.inner.closed;
  }

  async [asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Returns what `console.log` shows in Node, Deno and Bun. */
  [inspect](): object {
    return { BoxConnection: { port: this.port } };
  }
}
