import { afterAll, beforeAll, describe } from "vitest";
import { boxCases } from "./box-cases.js";
import { execCases } from "./exec-cases.js";
import { fileCases } from "./file-cases.js";
import { streamCases } from "./stream-cases.js";
import type { Context, Target } from "./target.js";
import { troubleCases } from "./trouble-cases.js";

/** What every backend must do, wherever it runs. */
export function contractSuite(target: Target): void {
  describe(`contract: ${target.name}`, () => {
    const context = { target } as Context;
    beforeAll(async () => {
      context.client = target.createClient();
      context.box = await context.client.create(target.image, { name: "shared", env: { FROM_BOX: "box" } });
    });
    afterAll(() => context.client.close());

    describe("boxes", () => boxCases(context));
    describe("exec", () => execCases(context));
    describe("execStream", () => streamCases(context));
    describe("files", () => fileCases(context));
    describe("trouble", () => troubleCases(context));
  });
}
