import { describe, expect, it } from "vitest";
import { EventQueue } from "../../src/util/event-queue.js";

const newQueue = () => new EventQueue<string>({ overflow: "overflow" });
const values = async (results: Promise<IteratorResult<string, void>>[]) =>
  (await Promise.all(results)).map(({ value }) => value);

describe("EventQueue", () => {
  it("gives each of several calls that wait an event, in order", async () => {
    const queue = newQueue();
    const waiting = [queue.next(), queue.next(), queue.next()];
    queue.push("one");
    expect((await waiting[0]!).value).toBe("one");
    queue.push("two");
    queue.push("three");
    expect(await values(waiting)).toEqual(["one", "two", "three"]);
  });

  it("ends all calls that wait, with its error for the first and for later ones", async () => {
    const queue = newQueue();
    const waiting = [queue.next(), queue.next(), queue.next()];
    queue.push("one");
    await waiting[0];
    queue.end();
    expect(await values(waiting)).toEqual(["one", undefined, undefined]);
    const broken = newQueue();
    const error = new Error("broken");
    const failing = [broken.next(), broken.next()].map((next) => next.catch((reason) => reason));
    broken.fail(error);
    expect(await Promise.all(failing)).toEqual([error, error]);
  });

  it("replaces what nobody has read in time by an overflow", async () => {
    const queue = newQueue();
    for (let i = 0; i < 5000; i++) queue.push(String(i));
    const { value } = await queue.next();
    expect(value).toBe("overflow");
    expect((await queue.next()).value).toBe("4096");
  });
});
