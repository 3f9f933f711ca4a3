const PLACEHOLDER_BYTES = 16;

/** A secret of a box: a value that its programs never see, and a placeholder for it that they do. */
export class Secret {
  /** Text that stands for the value in the box. It cannot be guessed, and is another one at each start. */
  readonly placeholder: string;
  // Not even an inspector shows it.
  readonly #value: string;
  private readonly patterns: readonly RegExp[];

  /** `hosts` are names, or "*." and a name, which stands for all below it. */
  constructor(
    /** Name of the variable that has the placeholder. */
    readonly name: string,
    value: string,
    /** Servers that may get the value. */
    readonly hosts: readonly string[],
  ) {
    this.#value = value;
    const random = crypto.getRandomValues(new Uint8Array(PLACEHOLDER_BYTES));
    const digits = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
    this.placeholder = `boxrun-secret-${digits}`;
    this.patterns = hosts.map((host) => {
      const name = host.replace(/[.]/g, "\\.").replace(/^\*/, "[^.].*");
      return new RegExp(`^${name}$`);
    });
  }

  /** Whether a server may get the value. */
  isFor(host: string): boolean {
    return this.patterns.some((pattern) => pattern.test(host));
  }

  /** Puts the value in place of the placeholder. */
  putInto(text: string): string {
    return text.replaceAll(this.placeholder, () => this.#value);
  }
}
