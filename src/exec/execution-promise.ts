import type { ExecEvent, Execution } from "./execution.js";

/**
 * A command that is being started. Await it for the {@link Execution}, or iterate over it at once to read its events: each iteration has all of them, from the
 * first byte on. Leaving a loop early cancels the command, unless it was started with `detached: true`; it does so even before the command runs.
 *
 * If the command cannot be started, every loop over it rejects with the reason, as `await` does. A promise that is neither awaited nor iterated over is
 * reported as an unhandled rejection then, as any other.
 *
 * @example
 * for await (const event of box.execStream("make"))
 *   if (event.type === "log") console.log(event.data);
 */
export class ExecutionPromise<E extends Execution = Execution>
  extends Promise<E>
  implements AsyncIterable<ExecEvent>
{
  /** Class of the promises that `then`, `catch` and `finally` return: ordinary ones. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  /** Yields all events from the first on, as {@link Execution} does. Rejects when the command cannot be started. */
  [Symbol.asyncIterator](): AsyncGenerator<ExecEvent, void, undefined> {
    let started: Promise<AsyncGenerator<ExecEvent, void, undefined>> | undefined;
    // Not before the first step: an iterator that nobody uses must not take the rejection from those who wait for it.
    const start = () => {
      started ??= this.then((execution) => execution[Symbol.asyncIterator]());
      return started;
    };
    const events = (async function* () {
      yield* await start();
    })();
    const leave = events.return.bind(events);
    events.return = async (value) => {
      // Queued behind the step that is pending, `leave` alone would wait for an event.
      await start().then(
        (inner) => inner.return(),
        () => {},
      );
      return leave(value);
    };
    return events;
  }
}
