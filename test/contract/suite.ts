import { afterAll, beforeAll, beforeEach, describe, type RunnerTask } from "vitest";
import { boxCases } from "./box-cases.js";
import { execCases } from "./exec-cases.js";
import { fileCases } from "./file-cases.js";
import { lifeCases } from "./life-cases.js";
import { streamCases } from "./stream-cases.js";
import type { Context, Target } from "./target.js";
import { troubleCases } from "./trouble-cases.js";

declare module "vitest" {
  interface TaskMeta {
    /** Why this case cannot pass on its target: see `cannot` of {@link Target}. */
    cannot?: string;
  }
}

/** What every backend must do, wherever it runs. */
export function contractSuite(target: Target): void {
  describe(`contract: ${target.name}`, () => {
    const context = { target } as Context;
    beforeAll(async () => {
      await target.setUp?.();
      context.client = target.createClient();
      context.box = await context.client.create(target.image, { name: "shared", env: { FROM_BOX: "box" } });
    });
    afterAll(async () => {
      await context.client?.close();
      await target.tearDown?.();
    });
    let names: Set<string> | undefined;
    beforeEach(({ task }) => {
      names ??= namesOf(task.file.tasks);
      const reason = Object.hasOwn(target.cannot, task.name) ? target.cannot[task.name] : undefined;
      if (reason === undefined) return;
      task.meta.cannot = reason;
      (task as { fails?: boolean }).fails = true;
    });
    afterAll(() => {
      const unknown = names ? Object.keys(target.cannot).filter((name) => !names?.has(name)) : [];
      if (unknown.length > 0) throw new Error(`there are no cases of these names: ${unknown.join("; ")}`);
    });

    describe("boxes", () => boxCases(context));
    describe("life", () => lifeCases(context));
    describe("exec", () => execCases(context));
    describe("execStream", () => streamCases(context));
    describe("files", () => fileCases(context));
    describe("trouble", () => troubleCases(context));
  });
}

function namesOf(tasks: RunnerTask[]): Set<string> {
  return new Set(tasks.flatMap((task) => (task.type === "suite" ? [...namesOf(task.tasks)] : [task.name])));
}
