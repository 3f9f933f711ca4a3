import { boxCases } from "./box-cases.js";
import { commandCases } from "./command-cases.js";
import { directoryCases } from "./directory-cases.js";
import { execCases } from "./exec-cases.js";
import { fileCases } from "./file-cases.js";
import { kindCases } from "./kind-cases.js";
import { lifeCases } from "./life-cases.js";
import { networkCases } from "./network-cases.js";
import { portCases } from "./port-cases.js";
import { casesOf, type Runner } from "./runner.js";
import { streamCases } from "./stream-cases.js";
import type { Context, Target } from "./target.js";
import { terminalCases } from "./terminal-cases.js";
import { troubleCases } from "./trouble-cases.js";
import { volumeCases } from "./volume-cases.js";
import { watchCases } from "./watch-cases.js";

/**
 * Declares the cases of the contract that every backend must pass, in your test runner. They need an image with a POSIX shell and the usual small programs, all
 * of which BusyBox has, and take a few minutes on emulated machines. Give each case a time limit of a minute.
 *
 * @example
 * import * as vitest from "vitest";
 *
 * contractSuite(vitest, {
 *   name: "my backend",
 *   image: "alpine",
 *   createClient: () => new BoxRunClient({ backend: createMyBackend() }),
 *   cannot: {},
 * });
 */
export function contractSuite(runner: Runner, target: Target): void {
  const { describe, beforeAll, afterAll, expect } = runner;
  describe(`contract: ${target.name}`, () => {
    const { cases, unknown } = casesOf(runner, target.cannot);
    const context = { target, it: cases, expect } as Context;
    beforeAll(async () => {
      await target.setUp?.();
      context.client = target.createClient();
      context.box = await context.client.create(target.image, { name: "shared", env: { FROM_BOX: "box" } });
    });
    afterAll(async () => {
      await context.client?.close();
      await target.tearDown?.();
    });
    afterAll(async () => {
      if (unknown().length > 0) throw new Error(`there are no cases of these names: ${unknown().join("; ")}`);
    });
    describe("boxes", () => boxCases(context));
    describe("life", () => lifeCases(context));
    describe("exec", () => execCases(context));
    describe("commands", () => commandCases(context));
    describe("execStream", () => streamCases(context));
    describe("files", () => fileCases(context));
    describe("directories", () => directoryCases(context));
    describe("kinds of files", () => kindCases(context));
    describe("watching files", () => watchCases(context));
    describe("terminals", () => terminalCases(context));
    describe("ports", () => portCases(context));
    describe("network", () => networkCases(context));
    describe("volumes", () => volumeCases(context));
    describe("trouble", () => troubleCases(context));
  });
}
