import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { passOnForeignChanges } from "../../../src/local/boxes/foreign-touches.js";
import type { VolumeAnswer } from "../../../src/local/volumes/volume-calls.js";

let touched: string[];
let lose: () => void;
let answers: (() => VolumeAnswer | Promise<VolumeAnswer>)[];
let asked: number;

const guest = {
  whenLost(callback: (error: never) => void) {
    lose = () => callback(undefined as never);
    return () => {};
  },
  ping: async () => {},
  send(frame: { type: string }) {
    touched.push(new TextDecoder().decode((frame as { path?: Uint8Array }).path));
  },
};
const machine = {
  async callVolume(): Promise<VolumeAnswer> {
    asked++;
    const answer = answers.shift();
    return answer ? answer() : new Promise<VolumeAnswer>(() => {});
  },
};
const fail = () => Promise.reject(new Error("the volume did not answer"));
const refuse = () => ({ errno: 24 });

beforeEach(() => {
  vi.useFakeTimers();
  [touched, answers, asked] = [[], [], 0];
});
afterEach(() => {
  vi.useRealTimers();
});

/** Resolves once so many seconds have passed, and all that they let happen has happened. */
const seconds = (count: number) => vi.advanceTimersByTimeAsync(count * 1000);

describe("what others change in volumes", () => {
  it("reaches the guest after calls that have failed, each of which is followed by a rest", async () => {
    answers = [
      fail,
      refuse,
      () => ({ paths: ["/0/file", "/1/dir/file"] }),
      fail,
      () => ({ paths: ["/0/last"] }),
    ];
    void passOnForeignChanges(guest, machine);
    await seconds(0);
    expect(asked).toBe(1);
    await seconds(10);
    expect(touched).toEqual(["/0/file", "/1/dir/file", "/0/last"]);
  });

  it("is given up where calls fail again and again", async () => {
    answers = Array.from({ length: 1000 }, () => refuse);
    let isOver = false;
    const done = passOnForeignChanges(guest, machine).then(() => {
      isOver = true;
    });
    await seconds(30);
    expect(isOver).toBe(false);
    await seconds(60);
    await done;
    expect(asked).toBeLessThan(100);
  });

  it("ends with the guest, without another call", async () => {
    answers = [fail, fail];
    const done = passOnForeignChanges(guest, machine);
    await seconds(0);
    lose();
    await done;
    expect(asked).toBe(1);
  });
});
