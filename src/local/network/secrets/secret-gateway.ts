import type { Secrets } from "../../../contract/types.js";
import type { Dialer } from "../../../network/dialer.js";
import { CertificateAuthority } from "../tls/certificate.js";
import { Secret } from "./secret.js";
import { type Encrypt, SecretDialer } from "./secret-dialer.js";

/** The secrets of a box while it runs: an authority of its own, and placeholders for them. */
export class SecretGateway {
  /** Placeholders, by the names of their variables. */
  readonly env: Readonly<Record<string, string>>;

  /** Hosts of the secrets, by the names of their variables. */
  readonly hosts: Record<string, string[]>;

  private constructor(
    private readonly secrets: readonly Secret[],
    private readonly authority: CertificateAuthority,
  ) {
    this.env = Object.fromEntries(secrets.map(({ name, placeholder }) => [name, placeholder]));
    this.hosts = Object.fromEntries(secrets.map(({ name, hosts }) => [name, [...hosts]]));
  }

  /** Makes placeholders and an authority, which are other ones at each start. */
  static async open(secrets: Secrets): Promise<SecretGateway> {
    const list = Object.entries(secrets).map(([name, { value, hosts }]) => new Secret(name, value, hosts));
    return new SecretGateway(list, await CertificateAuthority.create("BoxRun secrets of this box"));
  }

  /** Certificate of the authority, as text. */
  get pem(): string {
    return this.authority.pem;
  }

  /** Returns a dialer that puts the secrets into requests on their way to another one. */
  over(next: Dialer, encrypt: Encrypt): Dialer {
    return new SecretDialer(next, encrypt, this.secrets, this.authority);
  }
}
