/** What an owner says without being asked: see test/pages/box-calls.mjs. */
export interface Said {
  box: string;
  line?: string;
  phase?: string;
  /** See test/pages/flush-watch.mjs. */
  flush?: "due" | "began" | "ended";
}

/** The outcome of a call, as it comes out of a page or a process. */
export interface Outcome {
  value?: unknown;
  error?: { code?: string; message: string; retryable?: boolean };
}

/** A process or a page that owns boxes, until it is killed. */
export interface Owner {
  /** Calls what test/pages/box-calls.mjs has under this name. Rejects with {@link CallError}, and with {@link OwnerGone} when the owner ends first. */
  call<T = unknown>(call: string, ...args: unknown[]): Promise<T>;
  /** Kills it with all that is its, at once. Resolves when it is gone and all that it said has been heard. */
  kill(): Promise<void>;
}

/** An error of the SDK, from another realm. */
export class CallError extends Error {
  readonly code: string | undefined;

  constructor({ code, message }: NonNullable<Outcome["error"]>) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

export class OwnerGone extends Error {}
