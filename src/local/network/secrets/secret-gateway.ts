import type { Secrets } from "../../../contract/types.js";
import type { Header } from "../http/requests.js";
import { CertificateAuthority } from "../tls/certificate.js";
import { rewriteHeader } from "./rewrite-header.js";
import { Secret } from "./secret.js";

/** The secrets of a box while it runs: an authority of its own, and placeholders for them. */
export class SecretGateway {
  /** Placeholders, by the names of their variables. */
  readonly env: Readonly<Record<string, string>>;

  /** Hosts of the secrets, by the names of their variables. */
  readonly hosts: Record<string, string[]>;

  private constructor(
    private readonly secrets: readonly Secret[],
    /** Vouches for the servers whose connections end here. */
    readonly authority: CertificateAuthority,
  ) {
    this.env = Object.fromEntries(secrets.map(({ name, placeholder }) => [name, placeholder]));
    this.hosts = Object.fromEntries(secrets.map(({ name, hosts }) => [name, [...hosts]]));
  }

  /** Makes placeholders and an authority, which are other ones at each start. */
  static async open(secrets: Secrets): Promise<SecretGateway> {
    const list = Object.entries(secrets).map(([name, { value, hosts }]) => new Secret(name, value, hosts));
    return new SecretGateway(list, await CertificateAuthority.create("BoxRun, for this box alone"));
  }

  /** Certificate of the authority, as text. */
  get pem(): string {
    return this.authority.pem;
  }

  /** Returns what puts the secrets of a server into the headers of requests to it; undefined for a server that may get none. */
  rewriter(host: string): ((header: Header) => string) | undefined {
    const secrets = this.secrets.filter((secret) => secret.isFor(host));
    if (secrets.length === 0) return undefined;
    return (header) =>
      rewriteHeader(header, (value) => secrets.reduce((text, secret) => secret.putInto(text), value));
  }
}
