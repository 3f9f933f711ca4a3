import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { BoxClock } from "../../../src/local/guest/box-clock.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

it("a box's timers stand still while its machine does, however often, and elapse once", () => {
  const clock = new BoxClock();
  let elapsed = 0;
  clock.startTimer(1000, () => elapsed++);
  for (let i = 0; i < 4; i++) {
    vi.advanceTimersByTime(200);
    clock.setPaused(true);
    vi.advanceTimersByTime(5000);
    clock.setPaused(true);
    clock.setPaused(false);
  }
  vi.advanceTimersByTime(199);
  expect(elapsed).toBe(0);
  vi.advanceTimersByTime(1);
  expect(elapsed).toBe(1);
  clock.setPaused(true);
  clock.setPaused(false);
  vi.advanceTimersByTime(5000);
  expect(elapsed).toBe(1);
});

it("a box's timer that is started or stopped meanwhile runs from then on, or never", () => {
  const clock = new BoxClock();
  const elapsed: string[] = [];
  const stop = clock.startTimer(10, () => elapsed.push("stopped"));
  clock.setPaused(true);
  clock.startTimer(10, () => elapsed.push("started"));
  stop();
  vi.advanceTimersByTime(1000);
  expect(elapsed).toEqual([]);
  clock.setPaused(false);
  vi.advanceTimersByTime(10);
  expect(elapsed).toEqual(["started"]);
});
