import { BoxRunError } from "../../errors.js";
import { deferred } from "../../util/deferred.js";
import type { Guest } from "./guest.js";
import { GuestProcess } from "./guest-process.js";

/** Where an image's own commands are, as the agent sees them before a box is made. */
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Runs a command before the box is made, to have what it needs in memory. RUNTIME_ERROR when it fails. */
export async function runCommand(guest: Guest, cmd: readonly string[]): Promise<void> {
  const done = deferred<void>();
  const failed = (what: string) =>
    done.reject(new BoxRunError("RUNTIME_ERROR", `warming up with ${JSON.stringify(cmd)} failed: ${what}`));
  new GuestProcess(
    guest,
    { argv: cmd, env: [PATH], workdir: "/", stdin: false },
    {
      output: (_stream, _bytes) => {},
      exit: (how, value) => (how === "exited" && value === 0 ? done.resolve() : failed(`${how} ${value}`)),
      failed: (failure) => failed(`${failure.detail} (error ${failure.errno})`),
      lost: (error) => done.reject(error),
    },
  );
  await done.promise;
}
