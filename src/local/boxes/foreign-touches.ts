import type { Guest } from "../guest/guest.js";
import type { MachineHandle } from "../host/machine-handle.js";
import { MAX_PATH } from "../protocol/frame-types.js";

/** Paths that are told before the guest is asked whether it has taken them. */
const MAX_TOUCHES = 256;
const PING_MS = 60_000;

/** Tells the programs of a guest, by inotify, what others change in its volumes, until the guest is gone. */
export async function passOnForeignChanges(guest: Guest, machine: MachineHandle): Promise<void> {
  let isGone = false;
  guest.whenLost(() => {
    isGone = true;
  });
  /** Resolves once the guest has taken all that was sent: it may be paused, or busy. */
  const taken = async () => {
    while (!isGone)
      try {
        return await guest.ping(PING_MS);
      } catch {
        // It has had a minute.
      }
  };
  while (!isGone) {
    const answer = await machine.callVolume({ call: "foreign" });
    const paths = "paths" in answer ? answer.paths : [];
    for (let at = 0; at < paths.length && !isGone; at += MAX_TOUCHES) {
      for (const path of paths.slice(at, at + MAX_TOUCHES)) touch(guest, path);
      await taken();
    }
  }
}

function touch(guest: Guest, path: string): void {
  if (path.length > MAX_PATH) return;
  guest.send({ type: "touch", stream: 0, path: Uint8Array.from(path, (char) => char.charCodeAt(0)) });
}
