import { whenAborted } from "../../util/abort.js";
import { deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import type { Guest } from "../guest/guest.js";
import type { MachineHandle } from "../host/machine-handle.js";
import { MAX_PATH } from "../protocol/frame-types.js";

/** Paths that are told before the guest is asked whether it has taken them. */
const MAX_TOUCHES = 256;
const PING_MS = 60_000;
/** Time between a failure and the next try, and tries in a row that may fail. */
const REST_MS = 2000;
const MAX_FAILURES = 30;

/**
 * Tells the programs of a guest, by inotify, what others change in its volumes, until the guest is gone, or the volumes have not answered for about a minute.
 */
export async function passOnForeignChanges(
  guest: Pick<Guest, "whenLost" | "ping" | "send">,
  machine: Pick<MachineHandle, "callVolume">,
): Promise<void> {
  const life = new AbortController();
  guest.whenLost(() => life.abort());
  const { signal } = life;
  /** Resolves once the guest has taken all that was sent: it may be paused, or busy. */
  const taken = async () => {
    while (!signal.aborted)
      try {
        return await guest.ping(PING_MS);
      } catch {
        // It has had a minute.
        await rest(signal);
      }
  };
  for (let failures = 0; !signal.aborted && failures < MAX_FAILURES; ) {
    const paths = await changedPaths(machine);
    failures = paths ? 0 : failures + 1;
    if (!paths) await rest(signal);
    for (let at = 0; paths && at < paths.length && !signal.aborted; at += MAX_TOUCHES) {
      for (const path of paths.slice(at, at + MAX_TOUCHES)) touch(guest, path);
      await taken();
    }
  }
}

/** Returns what has changed; undefined when the volumes do not say. */
async function changedPaths(machine: Pick<MachineHandle, "callVolume">): Promise<string[] | undefined> {
  try {
    const answer = await machine.callVolume({ call: "foreign" });
    return "paths" in answer ? answer.paths : undefined;
  } catch {
    return undefined;
  }
}

/** Waits before another try. It keeps no process alive. */
async function rest(signal: AbortSignal): Promise<void> {
  const over = deferred();
  const stopTimer = startTimer(REST_MS, () => over.resolve());
  const ignoreSignal = whenAborted(signal, () => over.resolve());
  await over.promise;
  stopTimer();
  ignoreSignal();
}

function touch(guest: Pick<Guest, "send">, path: string): void {
  if (path.length > MAX_PATH) return;
  guest.send({ type: "touch", stream: 0, path: Uint8Array.from(path, (char) => char.charCodeAt(0)) });
}
