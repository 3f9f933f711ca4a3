import { startTimer } from "../../util/timer.js";

/** A guest's date may be off by this much before it is set again: programs compare times of files and tokens by the second. */
const MOST_OFF_MS = 500;
/** Between two looks while something runs. */
const LOOK_MS = 1000;

/** On the wall against the clock that a guest's own runs by, which stands still while its host sleeps. */
const offset = () => Date.now() - performance.now();

/**
 * Notices that the date of a guest is not that of its host any more: after the host has slept, or its clock was set. No host tells of either everywhere, so clocks are compared: before anything begins, and every
 * second while something runs.
 */
export class WallClock {
  /** Belongs to the date that the guest was told last. */
  private told: number | undefined;
  private stopTimer: (() => void) | undefined;

  /** `onOff` sets the guest's date. */
  constructor(private readonly onOff: () => void) {}

  /** The guest is told what time it is now: in ns since 1970. */
  tell(): bigint {
    this.told = offset();
    return BigInt(Date.now()) * 1_000_000n;
  }

  /** Compares the clocks. Before the guest was told a date, it has none to be off. */
  check(): void {
    if (this.told !== undefined && Math.abs(offset() - this.told) > MOST_OFF_MS) this.onOff();
  }

  /** From now on looks by itself, until `isIdle`. */
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
