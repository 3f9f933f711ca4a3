import {
  type ByteConnection,
  DialError,
  type Dialer,
  type DialOptions,
  type DialTarget,
  LoggedError,
} from "../../../network/dialer.js";
import { cut, endHere } from "../http/end-here.js";
import type { CertificateAuthority } from "../tls/certificate.js";
import { PROTOCOLS } from "../tls/wire.js";
import { PageFetch, type PageLimits, type Rewrite } from "./page-fetch.js";
import { BodyRoom, serveRequests } from "./serve-requests.js";

type OnRefusal = NonNullable<DialOptions["onRefusal"]>;

const HTTPS_PORT = 443;

/** Options of a {@link FetchDialer}. */
export interface FetchDialerOptions extends PageLimits {
  /** Vouches for the servers of https, to the programs in the box. */
  authority: CertificateAuthority;
  /** Returns what puts secrets into the requests to a server of https; undefined for one that may get none. */
  rewriter(host: string): Rewrite | undefined;
}

/**
 * Way out of a page: connections to the ports of HTTP and HTTPS end here, and their requests go on by the page's fetch. So programs reach what lets pages read it, and nothing else. A
 * connection is open before anybody is asked: fetch does not say whether there is a server until it has answered.
 */
export class FetchDialer implements Dialer {
  private readonly page: PageFetch;
  private readonly room = new BodyRoom();

  constructor(private readonly options: FetchDialerOptions) {
    this.page = new PageFetch(options);
  }

  async connect(target: DialTarget, { signal, onRefusal = () => {} }: DialOptions): Promise<ByteConnection> {
    signal.throwIfAborted();
    const origin = this.page.originOf(target);
    if (typeof origin !== "string") throw new DialError("EACCES", origin.refusal, { rule: origin.refusal });
    return endHere((near, life) => this.serve(near, target, { origin, life, onRefusal }));
  }

  private async serve(
    near: ByteConnection,
    { host, port }: DialTarget,
    { origin, life, onRefusal }: { origin: string; life: AbortSignal; onRefusal: OnRefusal },
  ): Promise<void> {
    const isHttps = port === HTTPS_PORT;
    const plain = isHttps ? await this.decrypt(near, host, onRefusal) : near;
    if (!plain) return;
    const rewrite = isHttps ? this.options.rewriter(host) : undefined;
    await serveRequests(plain, {
      host,
      port,
      room: this.room,
      onRefusal,
      answer: (request) => this.page.send(origin, request, rewrite, life),
    });
  }

  /** Speaks TLS with the program; undefined when that fails, which cuts the connection. The code for it is large, and comes with the first such connection. */
  private async decrypt(
    near: ByteConnection,
    host: string,
    onRefusal: OnRefusal,
  ): Promise<ByteConnection | undefined> {
    const certify = this.options.authority.certifier(host);
    let tls: typeof import("../tls/server.js");
    try {
      tls = await import("../tls/server.js");
    } catch (error) {
      const message = `the page could not load its code for TLS; reload the page: ${error}`;
      cut(near, new LoggedError("ECONNRESET", "refused", message));
      return undefined;
    }
    const onFailure = (error: Error) => onRefusal(error.message);
    return tls.acceptTls(near, { certify, protocols: PROTOCOLS, onFailure }).catch(() => undefined);
  }
}
