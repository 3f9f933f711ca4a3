import { BoxRunError } from "../../backend/errors.js";
import { whenAborted } from "../../util/abort.js";
import { deferred } from "../../util/deferred.js";
import type { Guest } from "./guest.js";
import { GuestProcess } from "./guest-process.js";

/** Path of the image's own commands, as the agent sees them before a box is set up. */
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Time for a command, and for a killed one to end, on a slow, busy host. */
const LIMIT_MS = 60_000;

/**
 * Runs a command before the box is set up, to have its files in memory.
 *
 * @throws {BoxRunError} RUNTIME_ERROR when it fails, takes longer than a minute, or is killed by `signal`
 */
export async function runCommand(guest: Guest, cmd: readonly string[], signal?: AbortSignal): Promise<void> {
  const done = deferred<void>();
  const failed = (what: string) =>
    done.reject(new BoxRunError("RUNTIME_ERROR", `warming up with ${JSON.stringify(cmd)} failed: ${what}`));
  const process: GuestProcess = new GuestProcess(
    guest,
    { argv: cmd, env: [PATH], workdir: "/", stdin: false },
    {
      output: (_stream, bytes) => process.release(bytes.byteLength),
      exit: (how, value) => (how === "exited" && value === 0 ? done.resolve() : failed(`${how} ${value}`)),
      failed: (failure) => failed(`${failure.detail} (error ${failure.errno})`),
      lost: (error) => done.reject(error),
    },
  );
  const kill = () => {
    process.terminate(0);
    stopClock();
    stopClock = guest.clock.startTimer(LIMIT_MS, () => failed("it cannot be killed"));
  };
  let stopClock = guest.clock.startTimer(LIMIT_MS, kill);
  if (signal?.aborted) kill();
  const ignoreSignal = whenAborted(signal, kill);
  await done.promise.finally(() => {
    stopClock();
    ignoreSignal();
  });
}
