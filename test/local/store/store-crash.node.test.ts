import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { BoxStore } from "../../../src/local/store/box-store.js";
import { folderStore } from "../../../src/local/store/store-node.js";
import { after, expectEither, newHistory, STEPS, type Step } from "../../robustness/crashes/store-history.js";
import { Random } from "../../robustness/faults/random.js";
import { ROOT } from "../../root.js";

const AT_ONCE = 3;
const OWN_FILES =
  /^(boxes(\/box_[a-z0-9]{12}(\/(box\.json|history\.jsonl|lock\.\d+))?)?|names(\/lock\.\d+)?|changes(\/last)?)$/;

let scratch: string;
let module: string;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "boxrun-crash-"));
  module = join(scratch, "store.mjs");
  await build({
    entryPoints: [join(ROOT, "src/local/store/store-node.ts")],
    outfile: module,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "error",
  });
});
afterAll(() => rmSync(scratch, { recursive: true }));

/** Runs a history, killed at a call. Resolves to what it printed: the steps that are done, and without a kill its calls. */
async function run(folder: string, history: Step[], at: number, how: string): Promise<string[]> {
  mkdirSync(folder);
  const args = [
    join(import.meta.dirname, "store-victim.mjs"),
    module,
    folder,
    JSON.stringify(history),
    String(at),
    how,
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (text) => (output += text));
  await once(child, "close");
  return output.split("\n").slice(0, -1);
}

/** Who comes next can go on with all that is there; and then nothing is left that belongs to nobody. */
async function expectGoesOn(store: BoxStore, folder: string): Promise<void> {
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }))
    if (/(^|\/)\.(new|lock|live)-[^/]*$/.test(name)) utimesSync(join(folder, name), 0, 0);
  await store.exclusively(async () => {});
  for (const id of await store.list()) {
    const release = await store.lock(id);
    expect(release).not.toBeNull();
    const kept = (await store.readHistory(id)).filter((entry) => entry !== null);
    await store.appendHistory(id, [{ next: 1 }]);
    await store.writeRecord(id, { next: 1 });
    expect((await store.readHistory(id)).filter((entry) => entry !== null)).toEqual([...kept, { next: 1 }]);
    expect(await store.readRecord(id)).toEqual({ next: 1 });
    await release!();
  }
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  expect(names.filter((name) => !OWN_FILES.test(name))).toEqual([]);
  for (const id of await store.list()) await store.remove(id);
  const left = readdirSync(folder, { recursive: true, encoding: "utf8" });
  expect(left.filter((name) => name.startsWith("boxes/"))).toEqual([]);
}

it.each([1, 2])(
  "a folder of boxes whose process ends at any call has every record and history as it was or as it was to be (%d)",
  async (seed) => {
    const history = newHistory(new Random(seed));
    const calls = (await run(join(scratch, `${seed}`), history, 0, "before")).at(-1)!.split(" ");
    expect(calls.length).toBeGreaterThan(2 * STEPS);
    const crashes = calls.flatMap((call, i) =>
      [
        "before",
        ...(/writeFile|appendFile|rm/.test(call) ? ["half"] : []),
        ...(/writeFile|rename/.test(call) ? ["power"] : []),
      ].map((how) => ({
        at: i + 1,
        how,
      })),
    );
    const queue = crashes.values();
    const failures: string[] = [];
    const work = async () => {
      for (const { at, how } of queue) {
        const folder = join(scratch, `${seed}-${at}-${how}`);
        const done = (await run(folder, history, at, how)).length;
        const before = history.slice(0, done).reduce(after, new Map());
        const store = folderStore(folder);
        const { step } = history[done]!;
        await expectEither(store, before, after(before, history[done]!))
          .then(() => expectGoesOn(store, folder))
          .catch((error) =>
            failures.push(`killed ${how} call ${at}, ${calls[at - 1]}, in ${step}: ${error}`),
          );
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(failures.join("\n")).toBe("");
  },
  180_000,
);
