import type { BoxClock } from "./box-clock.js";

/** Timer that runs while the guest owes an answer, and reports when that takes too long. */
export class SilenceClock {
  private stopTimer: (() => void) | undefined;

  constructor(
    private readonly clock: BoxClock,
    private readonly onSilent: () => void,
  ) {}

  /** Restarts the timer. */
  start(ms: number): void {
    this.stop();
    this.stopTimer = this.clock.startTimer(ms, this.onSilent);
  }

  stop(): void {
    this.stopTimer?.();
    this.stopTimer = undefined;
  }
}
