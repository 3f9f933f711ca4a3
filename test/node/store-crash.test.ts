import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { BoxStore } from "../../src/local/state/box-store.js";
import { folderStore } from "../../src/local/state/store-node.js";
import { Random } from "../faults/random.js";

const ROOT = join(import.meta.dirname, "../..");
const STEPS = 9;
const AT_ONCE = 3;
const OWN_FILES =
  /^(boxes(\/box_[a-z0-9]{12}(\/(box\.json|history\.jsonl|lock\.\d+))?)?|names(\/lock\.\d+)?|changes(\/last)?)$/;

interface Step {
  step: "create" | "lock" | "release" | "record" | "append" | "replace" | "remove";
  id: string;
  value?: object;
}
/** What a box holds, and whether it is there. */
type State = Map<string, { record: object; history: object[] }>;

let scratch: string;
let module: string;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "boxrun-crash-"));
  module = join(scratch, "store.mjs");
  await build({
    entryPoints: [join(ROOT, "src/local/state/store-node.ts")],
    outfile: module,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "error",
  });
});
afterAll(() => rmSync(scratch, { recursive: true }));

/** Steps that a backend may take, in an order that it may take them in. */
function newHistory(random: Random): Step[] {
  const steps: Step[] = [];
  let count = 0;
  const ids: string[] = [];
  const locked = new Set<string>();
  const value = () => ({ number: ++count, text: "x".repeat(random.size(9000)) });
  while (steps.length < STEPS) {
    const id = ids.length === 0 || random.chance(0.1) ? undefined : random.pick(ids);
    if (id === undefined) {
      const made = `box_${String(++count).padStart(12, "0")}`;
      ids.push(made);
      locked.add(made);
      steps.push({ step: "create", id: made, value: value() });
    } else if (!locked.has(id)) {
      locked.add(id);
      steps.push({ step: "lock", id });
    } else {
      const step = random.pick([
        "record",
        "record",
        "append",
        "append",
        "append",
        "replace",
        "release",
        "remove",
      ] as const);
      const entries = Array.from({ length: random.between(1, 3) }, value);
      if (step === "release" || step === "remove") locked.delete(id);
      if (step === "remove") ids.splice(ids.indexOf(id), 1);
      steps.push({
        step,
        id,
        ...(step === "record" && { value: value() }),
        ...(/append|replace/.test(step) && { value: entries }),
      });
    }
  }
  return steps;
}

function after(state: State, { step, id, value }: Step): State {
  const next: State = new Map([...state].map(([key, box]) => [key, { ...box, history: [...box.history] }]));
  const box = next.get(id);
  if (step === "create") next.set(id, { record: value!, history: [] });
  if (step === "record") box!.record = value!;
  if (step === "append") box!.history.push(...(value as object[]));
  if (step === "replace") box!.history = value as object[];
  if (step === "remove") next.delete(id);
  return next;
}

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

const same = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other);

/** Everything is as before the step that was cut off, or as after it; of entries that were being appended, the first may be there. */
async function expectEither(store: BoxStore, before: State, next: State): Promise<void> {
  const listed = await store.list();
  for (const id of new Set([...before.keys(), ...next.keys(), ...listed])) {
    expect(await store.isLocked(id)).toBe(false);
    const record = await store.readRecord(id);
    const history = await store.readHistory(id);
    const [old, young] = [before.get(id), next.get(id)];
    expect([old?.record, young?.record].some((one) => same(one, record))).toBe(true);
    expect(listed.includes(id)).toBe(record !== undefined);
    if (record === undefined) continue;
    const [shorter, longer] = [old?.history ?? [], young?.history ?? old!.history];
    // Half a line is nobody's entry; readers pass over it.
    const whole = history.filter((entry) => entry !== null);
    const isPart = same(longer.slice(0, whole.length), whole) && whole.length >= shorter.length;
    expect(isPart || same(whole, shorter)).toBe(true);
    expect(history.length - whole.length).toBeLessThanOrEqual(1);
  }
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
      ["before", ...(/writeFile|appendFile|rm/.test(call) ? ["half"] : [])].map((how) => ({
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
