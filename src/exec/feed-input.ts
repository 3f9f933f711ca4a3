import { isBoxRunError } from "../backend/errors.js";
import { deferred } from "../util/deferred.js";
import type { Execution } from "./execution.js";

/**
 * Feeds a command until it has ended. A source that fails ends the command: half an input is not what its caller meant. Not `pipeTo`, which in Node does not
 * let go of its source when it is aborted during a write that then fails.
 */
export async function whileFeeding<T>(
  execution: Execution,
  input: ReadableStream<Uint8Array>,
  ended: Promise<T>,
): Promise<T> {
  let over = false;
  const failed = deferred<never>();
  const reader = input.getReader();
  const writer = (execution.stdin as WritableStream<Uint8Array>).getWriter();
  const feed = async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return writer.close();
      await writer.write(value);
    }
  };
  feed().catch((error) => {
    reader.cancel(error).catch(() => {});
    // A command may end before it has read all of its input.
    if (over || (isBoxRunError(error) && error.code === "EXEC_ALREADY_FINISHED")) return;
    failed.reject(error);
    execution.cancel().catch(() => {});
  });
  try {
    return await Promise.race([ended, failed.promise]);
  } finally {
    over = true;
    reader.cancel().catch(() => {});
    writer.abort().catch(() => {});
  }
}
