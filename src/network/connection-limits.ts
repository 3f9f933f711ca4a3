/** Limits of the connections of one box, with which it cannot flood others or exhaust its host. */
export interface ConnectionLimits {
  /** Number of connections that may be open or being opened. */
  open: number;
  /** Number of new connections per second, in the long run. */
  perSecond: number;
  /** Number of new connections that may be made at once. */
  burst: number;
}

/** Limits of a box. */
export const LIMITS: ConnectionLimits = { open: 1024, perSecond: 50, burst: 200 };

/** Counts the connections of a box against its limits. */
export class ConnectionCounter {
  private open = 0;
  private free: number;
  private countedAtMs = performance.now();

  constructor(private readonly limits: ConnectionLimits) {
    this.free = limits.burst;
  }

  /** Counts a new connection. False, and it is not counted, when that is one too many. */
  take(): boolean {
    const nowMs = performance.now();
    const gained = ((nowMs - this.countedAtMs) / 1000) * this.limits.perSecond;
    this.free = Math.min(this.limits.burst, this.free + gained);
    this.countedAtMs = nowMs;
    if (this.open >= this.limits.open || this.free < 1) return false;
    this.free--;
    this.open++;
    return true;
  }

  /** Counts a connection as ended. */
  release(): void {
    this.open--;
  }
}
