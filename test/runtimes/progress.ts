import { type Deferred, deferred } from "../../src/util/deferred.js";
import type { Message } from "./messages.js";

/** A runtime that says nothing for this long hangs: longer than any case may take. */
const SILENCE_MS = 150_000;

/** How far a runtime is with the contract. All promises here reject when it ends too early, or hangs. */
export class Progress {
  private readonly declared = deferred<string[][]>();
  private readonly ended = deferred<void>();
  private readonly results: Deferred<void>[] = [];
  private failure: Error | undefined;
  private silence: NodeJS.Timeout | undefined;

  constructor() {
    this.hear();
  }

  /** All cases: of each its groups' names and its own. */
  get cases(): Promise<string[][]> {
    return this.declared.promise;
  }
  /** Of one case. Rejects with what it failed with. */
  result(index: number): Promise<void> {
    return this.results[index]?.promise ?? Promise.reject(new Error(`there is no case ${index}`));
  }
  /** Rejects with what failed after the last case. */
  get end(): Promise<void> {
    return this.ended.promise;
  }

  take(message: Message): void {
    this.hear();
    if (message.type === "cases") {
      for (const _ of message.cases) this.results.push(deferred());
      if (this.failure) this.fail(this.failure);
      this.declared.resolve(message.cases);
    } else if (message.type === "result") {
      settle(this.results[message.index], message.error);
    } else {
      settle(this.ended, message.error);
      // Whatever has no result by now gets none.
      this.fail(new Error("this case has not been run"));
    }
  }

  /** There is nothing more to come. What is there already stays. */
  fail(error: Error): void {
    clearTimeout(this.silence);
    this.failure ??= error;
    for (const waiting of [this.declared, this.ended, ...this.results]) waiting.reject(this.failure);
  }

  private hear(): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(
      () => this.fail(new Error(`the runtime has been silent for ${SILENCE_MS / 1000} s`)),
      SILENCE_MS,
    );
  }
}

function settle(waiting: Deferred<void> | undefined, error: string | undefined): void {
  if (error === undefined) return waiting?.resolve();
  const failure = new Error(error);
  // Where it was thrown is in the message; where it was reported tells nobody anything.
  failure.stack = error;
  waiting?.reject(failure);
}
