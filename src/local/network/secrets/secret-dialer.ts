import type { ByteConnection, Dialer, DialOptions, DialTarget } from "../../../network/dialer.js";
import { whenAborted } from "../../../util/abort.js";
import { cut, endHere } from "../http/end-here.js";
import { type Refusal, refuse } from "../http/refusal.js";
import { RefusedRequest, requestReader } from "../http/requests.js";
import { acceptTls } from "../tls/server.js";
import { PROTOCOLS } from "../tls/wire.js";
import { type PassOptions, passRequests } from "./pass-requests.js";
import type { SecretGateway } from "./secret-gateway.js";

const HTTPS_PORT = 443;

/** Speaks TLS over a connection, as a client of the server of this name, whose certificate it verifies. Rejects, with the connection cut, when the handshake fails. */
export type Encrypt = (connection: ByteConnection, serverName: string) => Promise<ByteConnection>;

/**
 * Puts secrets into requests on their way out. A connection to port 443 of a secret's host ends here, and another one leads on; all others pass through. A program in the box only ever has a
 * placeholder, which means nothing anywhere else.
 */
export class SecretDialer implements Dialer {
  readonly resolves?: NonNullable<Dialer["resolves"]>;

  constructor(
    private readonly next: Dialer,
    private readonly encrypt: Encrypt,
    private readonly gateway: SecretGateway,
  ) {
    if (next.resolves) this.resolves = (name, options) => next.resolves!(name, options);
  }

  async connect(target: DialTarget, options: DialOptions): Promise<ByteConnection> {
    const rewrite = target.port === HTTPS_PORT ? this.gateway.rewriter(target.host) : undefined;
    if (!rewrite) return this.next.connect(target, options);
    const far = await this.next.connect(target, options);
    const near = endHere((here, life) => this.serve(here, far, { host: target.host, rewrite }, life));
    return { ...near, ...(far.address !== undefined && { address: far.address }) };
  }

  /** Stands between a program in the box and its server. Never rejects: both sides are cut instead. */
  private async serve(
    here: ByteConnection,
    plain: ByteConnection,
    options: PassOptions,
    life: AbortSignal,
  ): Promise<void> {
    const { host } = options;
    const encrypted = this.encrypt(plain, host).catch((error) => new UnreachableServer(host, error));
    let tls: ByteConnection;
    try {
      tls = await acceptTls(here, {
        certify: this.gateway.authority.certifier(host),
        protocols: PROTOCOLS,
      });
    } catch (error) {
      const far = await encrypted;
      if (!(far instanceof UnreachableServer)) cut(far, error);
      return;
    }
    const far = await encrypted;
    const reader = requestReader(tls.readable);
    const toProgram = tls.writable.getWriter();
    // The program is told why, as the answer to whatever it asks.
    if (far instanceof UnreachableServer) return refuse(reader, toProgram, far);
    const answers = new Answers(far.readable, toProgram);
    const writer = far.writable.getWriter();
    const ignoreReset = whenAborted(life, (reason) => writer.abort(reason).catch(() => {}));
    const requests = passRequests(reader, writer, options).then(() => writer.close());
    try {
      await Promise.all([requests, answers.pass()]);
    } catch (error) {
      answers.stop(error);
      writer.abort(error).catch(() => {});
      // In the middle of an answer, another one would be taken for a part of it.
      if (error instanceof RefusedRequest && !error.isLater && !answers.haveBegun)
        await refuse(reader, toProgram, error);
      else {
        toProgram.abort(error).catch(() => {});
        // The other waits for an answer that is being written, which the program may never take.
        await reader.cancel();
      }
    } finally {
      ignoreReset();
    }
  }
}

/** Answers of a server, on their way to the program. */
class Answers {
  haveBegun = false;
  private isStopped = false;
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(
    from: ReadableStream<Uint8Array>,
    private readonly to: WritableStreamDefaultWriter<Uint8Array>,
  ) {
    this.reader = from.getReader();
  }

  /** Passes them on, and the end of them. */
  async pass(): Promise<void> {
    for (;;) {
      const { done, value } = await this.reader.read();
      if (this.isStopped) return;
      if (done) return this.to.close();
      this.haveBegun = true;
      await this.to.write(value);
    }
  }

  /** Passes no more on, and cuts the connection to the server. */
  stop(reason: unknown): void {
    this.isStopped = true;
    this.reader.cancel(reason).catch(() => {});
  }
}

/** The answer when the server's side of the way cannot be encrypted. */
class UnreachableServer implements Refusal {
  readonly status = 502;
  readonly message: string;

  constructor(host: string, error: unknown) {
    this.message = `no encrypted connection to ${host}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
