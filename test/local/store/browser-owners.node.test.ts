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

const createBox = (page: Page) =>
  page.evaluate(async () => {
    const box = await client.create("tiny", { name: "theirs", memoryMb: 256 });
    await box.exec("echo kept > /root/f; sync");
    return box.id;
  });

/** Watches from a page up to the status `last`; null: it is not there. Resolves once it watches, to the statuses that it will have seen. */
async function watchUntil(page: Page, last: string | null) {
  const name = `watching${++watches}`;
  let onWatching!: () => void;
  const watching = new Promise<void>((resolve) => {
    onWatching = resolve;
  });
  await page.exposeFunction(name, onWatching);
  const seen = page.evaluate(
    async ([end, report]) => {
      const statuses: (string | null)[] = [];
      for await (const boxes of client.watchBoxes()) {
        const status = boxes.find((info) => info.name === "theirs")?.status ?? null;
        if (status !== statuses.at(-1)) statuses.push(status);
        if (status === end && statuses.length > 1) break;
        (globalThis as unknown as Record<string, () => void>)[report]!();
      }
      return statuses;
    },
    [last, name] as const,
  );
  await watching;
  return { seen };
}
let watches = 0;

const takeOver = (page: Page) =>
  page.evaluate(async () => {
    const box = await client.getBox("theirs");
    await box.start();
    return (await box.exec(["cat", "/root/f"])).stdout;
  });

describe("boxes of another page", () => {
  it("are seen as they are made, stopped, started and removed", async () => {
    const [owner, page] = [await profile.open(), await profile.open()];
    const { seen: made } = await watchUntil(page, "running");
    await createBox(owner);
    expect((await made).filter((status) => status !== "creating")).toEqual([null, "running"]);
    for (const [end, change] of [
      ["stopped", () => owner.evaluate(async () => void (await (await client.getBox("theirs")).stop()))],
      ["running", () => owner.evaluate(async () => void (await (await client.getBox("theirs")).start()))],
      [
        null,
        () =>
          owner.evaluate(async () => void (await (await client.getBox("theirs")).remove({ force: true }))),
      ],
    ] as const) {
      const { seen } = await watchUntil(page, end);
      await change();
      expect((await seen).at(-1)).toBe(end);
    }
  });

  const endings: [string, (owner: Page) => Promise<unknown>][] = [
    ["is closed", (owner) => owner.close()],
    ["is sent elsewhere", (owner) => owner.goto("about:blank")],
    [
      "crashes",
      async (owner) => {
        const crashed = owner.waitForEvent("crash");
        owner.goto("chrome://crash").catch(() => {});
        await crashed;
      },
    ],
    ["closes its client", (owner) => owner.evaluate(() => client.close())],
  ];
  it.each(endings)("are seen to stop when that %s, and can be started then", async (_, end) => {
    const [owner, page] = [await profile.open(), await profile.open()];
    await createBox(owner);
    const { seen } = await watchUntil(page, "stopped");
    expect(await page.evaluate(async () => failure((await client.getBox("theirs")).start()))).toMatchObject({
      code: "BOX_LOCKED",
      retryable: true,
    });
    await end(owner);
    expect(await seen).toEqual(["running", "stopped"]);
    expect(await takeOver(page)).toBe("kept\n");
  });

  it("can be started the moment they are stopped, however many watch them", async () => {
    const [owner, page] = [await profile.open(), await profile.open()];
    await createBox(owner);
    const watching = await Promise.all([1, 2, 3].map(() => watchUntil(page, null)));
    for (let round = 0; round < 5; round++) {
      const from = round % 2 ? page : owner;
      await from.evaluate(async () => void (await (await client.getBox("theirs")).stop()));
      expect(await takeOver(round % 2 ? owner : page)).toBe("kept\n");
    }
    await page.evaluate(async () => (await client.getBox("theirs")).remove({ force: true }));
    for (const { seen } of watching) expect((await seen).at(-1)).toBe(null);
  });

  it("are BOX_LOCKED with whose they are and since when", async () => {
    const [owner, page] = [await profile.open(), await profile.open()];
    await owner.evaluate(`document.title = "Lesson 3"; history.replaceState(null, "", "?token=secret#x")`);
    const begun = Date.now();
    await createBox(owner);
    const { message, who, since } = await page.evaluate(async () => {
      const error = await (await client.getBox("theirs")).exec(["true"]).then(
        () => undefined,
        (caught) => caught,
      );
      return { message: error.message, who: error.cause.owner, since: error.cause.since.getTime() };
    });
    expect(who).toBe(`the page "Lesson 3" at http://127.0.0.1:${profile.port}/test/pages/boxes.html`);
    expect(since).toBeGreaterThanOrEqual(begun);
    expect(since).toBeLessThanOrEqual(Date.now());
    expect(message).toContain(`is in use by ${who}, since ${new Date(since).toISOString()}`);
  });

  it("are another's, too, where two clients of one page have them", async () => {
    const page = await profile.open();
    await createBox(page);
    const seen = await page.evaluate(async () => {
      const other = newClient();
      const box = await other.getBox("theirs");
      const locked = await failure(box.start());
      const lists = other.watchBoxes();
      await lists.next();
      const [next] = await Promise.all([lists.next(), client.getBox("theirs").then((own) => own.stop())]);
      return { locked, status: next.value?.[0]?.status };
    });
    expect(seen).toMatchObject({ locked: { code: "BOX_LOCKED" }, status: "stopped" });
  });
});
