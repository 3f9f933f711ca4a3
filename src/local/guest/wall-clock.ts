import { startTimer } from "../../util/timer.js";

/** Tolerance of a guest's date before it is set again: programs compare times of files and tokens by the second. */
const MOST_OFF_MS = 500;
/** Interval of the checks while something runs. */
const LOOK_MS = 1000;

/** Difference of the real time and the clock that a guest's own follows, which stands still while its host sleeps. */
const offset = () => Date.now() - performance.now();

/**
 * Notices that the date of a guest differs from that of its host: after the host has slept, or its clock was set. No host reports both everywhere, so clocks
 * are compared: before anything begins, and every second while something runs.
 */
export class WallClock {
  /** Difference at the time when the guest last got the date. */
  private told: number | undefined;
  private stopTimer: (() => void) | undefined;

  /** `onOff` sets the guest's date. */
  constructor(private readonly onOff: () => void) {}

  /** Returns the date for the guest, in ns since 1970, and notes that it gets it now. */
  tell(): bigint {
    this.told = offset();
    return BigInt(Date.now()) * 1_000_000n;
  }

  /** Compares the clocks. Before the guest has got a date, it cannot be wrong. */
  check(): void {
    if (this.told !== undefined && Math.abs(offset() - this.told) > MOST_OFF_MS) this.onOff();
  }

  /** Checks by itself from now on, until `isIdle`. */
  watch(isIdle: () => boolean): void {
    this.stopTimer ??= startTimer(LOOK_MS, () => {
      this.stopTimer = undefined;
      if (isIdle()) return;
      this.check();
      this.watch(isIdle);
    });
  }

  stop(): void {
    this.stopTimer?.();
    this.stopTimer = undefined;
  }
}
