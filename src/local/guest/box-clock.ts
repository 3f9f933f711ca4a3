import { startTimer } from "../../util/timer.js";

interface Timer {
  leftMs: number;
  begun: number;
  onElapsed: () => void;
  stop: () => void;
}

/** Clock of a box, which stands still while the box's machine is paused. */
export class BoxClock {
  private readonly timers = new Set<Timer>();
  private paused = false;

  get isPaused(): boolean {
    return this.paused;
  }

  /** Starts a timer on this clock, as `startTimer` does on the real one. */
  startTimer(ms: number, onElapsed: () => void): () => void {
    const timer: Timer = { leftMs: ms, begun: 0, onElapsed, stop: () => {} };
    this.timers.add(timer);
    if (!this.paused) this.run(timer);
    return () => {
      this.timers.delete(timer);
      timer.stop();
    };
  }

  setPaused(paused: boolean): void {
    if (paused === this.paused) return;
    this.paused = paused;
    for (const timer of this.timers) {
      if (!paused) this.run(timer);
      else {
        timer.stop();
        timer.leftMs -= performance.now() - timer.begun;
      }
    }
  }

  private run(timer: Timer): void {
    timer.begun = performance.now();
    timer.stop = startTimer(Math.max(0, timer.leftMs), () => {
      this.timers.delete(timer);
      timer.onElapsed();
    });
  }
}
