/**
 * Schedules the emulator's next slice. v86's own way spins while the guest's next timer is less than 1 ms away, and in browsers starts a second Worker from a
 * blob: URL for its timers, which a page's security policy may forbid. A new tick replaces one that was scheduled before and has not run.
 */
export function tickScheduler(): (ms: number, run: () => void) => void {
  if (typeof setImmediate === "function") {
    return (ms, run) => {
      if (ms <= 0) setImmediate(run);
      else setTimeout(run, Math.max(1, ms));
    };
  }
  // A message has no minimum delay, and a timer that is set from one is not clamped to the 4 ms of nested timers.
  const { port1, port2 } = new MessageChannel();
  let next: (() => void) | undefined;
  port1.onmessage = () => next?.();
  const soon = (run: () => void) => {
    next = run;
    port2.postMessage(0);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (ms, run) => {
    clearTimeout(timer);
    if (ms <= 0) soon(run);
    else timer = setTimeout(() => soon(run), Math.max(1, ms));
  };
}

declare const setImmediate: ((run: () => void) => unknown) | undefined;
