import type { BoxClock } from "./box-clock.js";

/** Runs while something is asked of the guest, and says so when it has not answered for too long. */
export class SilenceClock {
  private stopTimer: (() => void) | undefined;

  constructor(
    private readonly clock: BoxClock,
    private readonly onSilent: () => void,
  ) {}

  /** From now on the guest has so long. */
  start(ms: number): void {
    this.stop();
    this.stopTimer = this.clock.startTimer(ms, this.onSilent);
  }

  stop(): void {
    this.stopTimer?.();
    this.stopTimer = undefined;
  }
}
