import { describe, expect, it } from "vitest";
import { givenPlace, pagePlaces } from "../../../src/local/assets/asset-places.js";

const PAGE = "https://app.example/team/index.html";
const BELOW = "https://app.example/team/boxrun/";
const ROOT = "https://app.example/boxrun/";
const places = (moduleUrl: string | undefined) => pagePlaces(moduleUrl, PAGE).locations;

describe("a page looks for its assets", () => {
  it("beside the package's own modules first, where they are served as they are", () => {
    expect(places("https://app.example/sdk/browser/chunk-A.js")).toEqual([
      "https://app.example/sdk/assets/",
      BELOW,
      ROOT,
    ]);
    expect(places("https://cdn.example/npm/boxrun@0.1.0/dist/browser/local.js")).toEqual([
      "https://cdn.example/npm/boxrun@0.1.0/dist/assets/",
      BELOW,
      ROOT,
    ]);
  });

  it("below its own address first, where a bundler has put the modules elsewhere", () => {
    expect(places("https://app.example/team/assets/index-abc.js")).toEqual([
      BELOW,
      "https://app.example/team/assets/",
      ROOT,
    ]);
  });

  it.each([
    undefined,
    "file:///home/me/app/node_modules/boxrun/dist/browser/chunk-A.js",
    "blob:https://app.example/1",
  ])("below its own address and at the root only, where a bundle says that its module is %s", (moduleUrl) =>
    expect(places(moduleUrl)).toEqual([BELOW, ROOT]),
  );
});

it("a page in no folder has one place for both", () => {
  const found = pagePlaces(undefined, "https://app.example/").locations;
  expect(found).toEqual([ROOT]);
});

it("a place that is named is the only one, with or without a slash at its end", () => {
  const named = (given: string) => givenPlace(given, (url) => `https://app.example/${url}`, "").locations;
  expect(named("own")).toEqual(["https://app.example/own/"]);
  expect(named("own/")).toEqual(["https://app.example/own/"]);
});
