import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { answerPings, pingPort } from "../../src/preview/pulse.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function channel() {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => port1.close());
  return { page: port1, other: port2 };
}

/** Lets some seconds pass, in steps, so that messages arrive in between. */
async function pass(seconds: number): Promise<void> {
  for (let at = 0; at < seconds; at += 5) {
    vi.advanceTimersByTime(5000);
    for (let turns = 0; turns < 5; turns++) await new Promise(setImmediate);
  }
}

describe("the two sides of a port of a preview", () => {
  it("go on for as long as both are there, and nothing else is heard of the signs", async () => {
    const { page, other } = channel();
    const dead = vi.fn();
    const heard = vi.fn();
    const pulse = pingPort(page, dead);
    page.on("message", () => pulse.heard());
    const stop = answerPings(other, heard, dead);
    await pass(600);
    page.postMessage({ type: "end" });
    await vi.waitFor(() => expect(heard).toHaveBeenCalledOnce());
    expect(heard).toHaveBeenCalledWith({ type: "end" });
    expect(dead).not.toHaveBeenCalled();
    pulse.stop();
    stop();
  });

  it("the page gives up one that says nothing for 75 seconds, once, and asks no more", async () => {
    const { page, other } = channel();
    const dead = vi.fn();
    const asked = vi.fn();
    other.on("message", asked);
    pingPort(page, dead);
    await pass(70);
    expect(dead).not.toHaveBeenCalled();
    await pass(600);
    expect(dead).toHaveBeenCalledOnce();
    expect(asked).toHaveBeenCalledTimes(4);
  });

  it("the other side gives up a page that says nothing for 150 seconds, and waits for one that is hidden", async () => {
    const { page, other } = channel();
    const dead = vi.fn();
    answerPings(other, () => {}, dead);
    for (let minute = 0; minute < 5; minute++) {
      page.postMessage({ type: "ping" });
      await pass(60);
    }
    expect(dead).not.toHaveBeenCalled();
    await pass(100);
    expect(dead).toHaveBeenCalledOnce();
  });

  it("stop when they are told to", async () => {
    const { page, other } = channel();
    const dead = vi.fn();
    pingPort(page, dead).stop();
    answerPings(other, () => {}, dead)();
    await pass(300);
    expect(dead).not.toHaveBeenCalled();
  });
});
