import { describe, expect, it } from "vitest";
import { exchange, headersOf, lines, NAME, usePage, VALUE } from "./page.js";

const page = usePage();

describe("a secret in a page", () => {
  it("takes its placeholder's place in a header, and follows no redirect", async () => {
    const header = ["-H", `Authorization: Bearer ${page.gateway.env["KEY"]}`];
    await page.front.curl(`https://${NAME}/`, ...header);
    expect(headersOf(page.asked[0]!)).toMatchObject({ authorization: `Bearer ${VALUE}` });
    expect(page.asked[0]!.init.redirect).toBe("manual");
  });

  it("goes nowhere by http, and to no other server", async () => {
    const { env } = page.gateway;
    const text = (host: string) => lines("GET / HTTP/1.1", `Host: ${host}`, `X-Key: ${env["KEY"]}`);
    await exchange(page.dialer, text(NAME));
    await exchange(page.dialer, text("other.example.com"), "other.example.com");
    expect(page.asked.map((asked) => headersOf(asked)["x-key"])).toEqual([env["KEY"], env["KEY"]]);
    expect(page.gateway.rewriter("other.example.com")).toBeUndefined();
  });
});
