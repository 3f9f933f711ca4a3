import type { Page } from "playwright";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BrowserProfile, type PageScope } from "../browser-profile.js";

// The functions given to `evaluate` run in the page, where these are global.
declare const client: PageScope["client"];
declare const newClient: PageScope["newClient"];
declare const failure: PageScope["failure"];

let profile: BrowserProfile;
beforeEach(async () => {
  profile = await BrowserProfile.create();
});
afterEach(() => profile.close());

/** Tells the page that it is hidden, or seen: no tab of a browser without a window ever is. */
const setHidden = (page: Page, hidden: boolean) =>
  page.evaluate(
    `Object.defineProperty(document, "visibilityState", { configurable: true, value: "${hidden ? "hidden" : "visible"}" });
     document.dispatchEvent(new Event("visibilitychange"))`,
  );

/** A box of a client with these options, that says every tenth of a second in a file how far it is. */
async function countingBox(page: Page, local: object): Promise<void> {
  await page.evaluate(async (options) => {
    const box = await newClient(options).create("tiny", { name: "counting", memoryMb: 256 });
    Object.assign(globalThis, { box });
    const loop = "while :; do echo tick; sleep 0.1; done";
    const execution = await box.execStream(loop, { detached: true });
    const state = { ticks: 0 };
    Object.assign(globalThis, { state });
    void (async () => {
      for await (const event of execution) if (event.type === "log") state.ticks++;
    })();
  }, local);
  await page.waitForFunction("state.ticks > 3");
}

const HIDDEN_MS = 4000;

describe("a hidden page", () => {
  it("goes on with its boxes", async () => {
    const page = await profile.open();
    await countingBox(page, {});
    await setHidden(page, true);
    const before = await page.evaluate("state.ticks");
    await page.waitForFunction(`state.ticks > ${before} + 10`);
  });

  it("with pauseHidden lets them stand still, and no time goes by for what runs in them", async () => {
    const page = await profile.open();
    await countingBox(page, { pauseHidden: true });
    const result = await page.evaluate(
      async ([hiddenMs]) => {
        const { box, state } = globalThis as unknown as {
          box: Awaited<ReturnType<typeof client.create>>;
          state: { ticks: number };
        };
        const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
        const setVisibility = (value: string) => {
          const { document } = globalThis as unknown as { document: EventTarget };
          Object.defineProperty(document, "visibilityState", { configurable: true, value });
          document.dispatchEvent(new Event("visibilitychange"));
        };
        const begun = performance.now();
        // It would be over its time while the page is hidden.
        const limited = box.exec("sleep 1; echo done", { timeoutMs: 4500 });
        const uptime = async () => Number((await box.exec("cut -d' ' -f1 /proc/uptime")).stdout);
        const uptimeBefore = await uptime();
        const readAt = performance.now();
        setVisibility("hidden");
        // What was on its way has come.
        for (let last = -1; last !== state.ticks; ) {
          last = state.ticks;
          await pause(500);
        }
        const ticks = state.ticks;
        const waiting = box.exec("date +%s");
        await pause(hiddenMs!);
        const stoodStill = state.ticks === ticks;
        const hiddenFor = performance.now() - readAt;
        setVisibility("visible");
        const date = Number((await waiting).stdout) * 1000;
        const behind = (Date.now() - date) / 1000;
        const uptimeAfter = await uptime();
        return {
          stoodStill,
          behind,
          slept: hiddenFor / 1000 - (uptimeAfter - uptimeBefore),
          limited: (await limited).stdout,
          ran: performance.now() - begun,
        };
      },
      [HIDDEN_MS] as const,
    );
    expect(result).toMatchObject({ stoodStill: true, limited: "done\n" });
    expect(Math.abs(result.behind)).toBeLessThan(2.5);
    expect(result.slept).toBeGreaterThan(HIDDEN_MS / 1000 / 2);
    expect(result.ran).toBeGreaterThan(HIDDEN_MS);
    const before = await page.evaluate("state.ticks");
    await page.waitForFunction(`state.ticks > ${before} + 3`);
  });

  it("with pauseHidden makes boxes, stops them and closes its client all the same", async () => {
    const page = await profile.open();
    await setHidden(page, true);
    const seen = await page.evaluate(async () => {
      const own = newClient({ pauseHidden: true });
      const one = await own.create("tiny", { name: "one", memoryMb: 256 });
      const { status } = await one.stop();
      await one.start();
      const two = await own.create("tiny", { name: "two", memoryMb: 256 });
      await two.remove({ force: true });
      await own.close();
      const left = await client.listBoxes();
      return {
        status,
        left: left.map((info) => `${info.name} ${info.status}`),
        late: await failure(two.refresh()),
      };
    });
    expect(seen).toMatchObject({ status: "stopped", left: ["one stopped"] });
  });
});

describe("a machine whose Worker breaks", () => {
  it("ends in status error, with what its kernel said last", async () => {
    const page = await profile.open();
    await page.evaluate(async () => {
      const box = await client.create("tiny", { name: "broken", memoryMb: 256 });
      await box.exec("echo last words > /dev/kmsg; echo 'on the console' > /dev/ttyS0");
    });
    const [worker] = page.workers();
    await worker!.evaluate(() => {
      setTimeout(() => {
        throw new Error("the Worker broke");
      });
    });
    const errors = await page.evaluate(async () => {
      const box = await client.getBox("broken");
      const error = await failure(box.exec(["sleep", "7000"]));
      return { error, info: await box.refresh() };
    });
    expect(errors.error).toMatchObject({ code: expect.stringMatching(/RUNTIME_ERROR|BOX_NOT_RUNNING/) });
    expect(errors.info).toMatchObject({ status: "error", errorCode: "RUNTIME_ERROR" });
    expect(errors.info.errorMessage).toMatch(/the Worker broke.*on the console/s);
  });
});
