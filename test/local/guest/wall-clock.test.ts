import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { WallClock } from "../../../src/local/guest/wall-clock.js";

const HOURS_MS = 3_600_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"], now: 1_700_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A clock whose guest is told again when it is off, and how often that was. */
function guestClock() {
  let told = 0;
  const clock: WallClock = new WallClock(() => {
    told++;
    clock.tell();
  });
  return { clock, told: () => told };
}

/** The host sleeps, or somebody sets its clock. */
const leap = (ms: number) => vi.setSystemTime(Date.now() + ms);

it("tells the guest the date again when its host has slept, or its clock was set either way", () => {
  const { clock, told } = guestClock();
  expect(clock.tell()).toBe(1_700_000_000_000_000_000n);
  for (const ms of [3 * HOURS_MS, -HOURS_MS, 600]) {
    const before = told();
    leap(ms);
    clock.check();
    clock.check();
    expect(told()).toBe(before + 1);
  }
});

it("leaves it alone while both clocks go on, however long, and for less than half a second", () => {
  const { clock, told } = guestClock();
  clock.tell();
  vi.advanceTimersByTime(24 * HOURS_MS);
  leap(400);
  clock.check();
  expect(told()).toBe(0);
});

it("has nothing to tell before the guest was told a date", () => {
  const { clock, told } = guestClock();
  leap(HOURS_MS);
  clock.check();
  expect(told()).toBe(0);
});

it("looks by itself while something runs, and no longer", () => {
  const { clock, told } = guestClock();
  let idle = false;
  clock.tell();
  clock.watch(() => idle);
  clock.watch(() => idle);
  vi.advanceTimersByTime(5000);
  leap(HOURS_MS);
  vi.advanceTimersByTime(1000);
  expect(told()).toBe(1);
  idle = true;
  vi.advanceTimersByTime(1000);
  expect(vi.getTimerCount()).toBe(0);
  idle = false;
  clock.watch(() => idle);
  clock.stop();
  expect(vi.getTimerCount()).toBe(0);
});
