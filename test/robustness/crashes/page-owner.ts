import type { Page } from "playwright";
import type { BrowserProfile, PageScope } from "../../local/browser-profile.js";
import { CallError, type Owner, OwnerGone, type Said } from "./owner.js";

declare const calls: PageScope["calls"];
declare const outcomeOf: PageScope["outcomeOf"];
declare const newCalls: PageScope["newCalls"];

/** A page that owns boxes, in a Chromium of its own. */
export class PageOwner implements Owner {
  private constructor(
    readonly page: Page,
    private readonly profile: BrowserProfile,
  ) {}

  static async open(
    profile: BrowserProfile,
    onSaid: (said: Said) => void,
    options: object = {},
  ): Promise<PageOwner> {
    const page = await profile.open();
    await page.exposeFunction("report", onSaid);
    await page.evaluate((local) => Object.assign(globalThis, { calls: newCalls(local) }), options);
    return new PageOwner(page, profile);
  }

  async call<T>(call: string, ...args: unknown[]): Promise<T> {
    const outcome = await this.page
      .evaluate(([name, given]) => outcomeOf(calls[name]!(...given)), [call, args] as const)
      .catch((error: Error) => {
        throw new OwnerGone(error.message);
      });
    if (outcome.error) throw new CallError(outcome.error);
    return outcome.value as T;
  }

  kill(): Promise<void> {
    return this.profile.kill();
  }
}
