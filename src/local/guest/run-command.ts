import { BoxRunError } from "../../backend/errors.js";
import { deferred } from "../../util/deferred.js";
import type { Guest } from "./guest.js";
import { GuestProcess } from "./guest-process.js";

/** Where an image's own commands are, as the agent sees them before a box is made. */
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** For a command, and for a killed one to end: on a slow, busy host. */
const LIMIT_MS = 60_000;

/** Runs a command before the box is made, to have what it needs in memory. RUNTIME_ERROR when it fails, takes longer than a minute, or is killed, as `signal` asks for. */
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
  signal?.addEventListener("abort", kill, { once: true });
  await done.promise.finally(() => {
    stopClock();
    signal?.removeEventListener("abort", kill);
  });
}
