import { expect } from "vitest";
import type { BoxStore } from "../../../src/local/store/box-store.js";
import type { Random } from "../faults/random.js";

export const STEPS = 9;

/** What is done to a store of boxes. */
export interface Step {
  step: "create" | "lock" | "release" | "record" | "append" | "replace" | "remove";
  id: string;
  value?: object;
}
/** What a box holds, and whether it is there. */
export type State = Map<string, { record: object; history: object[] }>;

/** Steps that a backend may take, in an order that it may take them in. */
export function newHistory(random: Random): Step[] {
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

/** What there is after a step. */
export function after(state: State, { step, id, value }: Step): State {
  const next: State = new Map([...state].map(([key, box]) => [key, { ...box, history: [...box.history] }]));
  const box = next.get(id);
  if (step === "create") next.set(id, { record: value!, history: [] });
  if (step === "record") box!.record = value!;
  if (step === "append") box!.history.push(...(value as object[]));
  if (step === "replace") box!.history = value as object[];
  if (step === "remove") next.delete(id);
  return next;
}

const same = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other);

/** Everything is as before the step that was cut off, or as after it; of entries that were being appended, the first may be there. */
export async function expectEither(store: BoxStore, before: State, next: State): Promise<void> {
  const listed = await store.list();
  for (const id of new Set([...before.keys(), ...next.keys(), ...listed])) {
    expect(await store.isLocked(id)).toBe(false);
    const record = await store.readRecord(id);
    const history = await store.readHistory(id);
    const [old, young] = [before.get(id), next.get(id)];
    expect([old?.record, young?.record].some((one) => same(one, record))).toBe(true);
    // What is listed without a record is what is left of a creation: who lists boxes removes it.
    if (record !== undefined) expect(listed).toContain(id);
    if (record === undefined) continue;
    const [shorter, longer] = [old?.history ?? [], young?.history ?? old!.history];
    // Half a line is nobody's entry; readers pass over it.
    const whole = history.filter((entry) => entry !== null);
    const isPart = same(longer.slice(0, whole.length), whole) && whole.length >= shorter.length;
    expect(isPart || same(whole, shorter)).toBe(true);
    expect(history.length - whole.length).toBeLessThanOrEqual(1);
  }
}
