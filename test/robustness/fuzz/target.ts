import { Random } from "../faults/random.js";
import { Mutator } from "./mutate.js";

/** What became of one input that broke no rule. */
export interface Taken {
  accepted: boolean;
  /** Bytes that were in memory for it at most, where the target counts them. */
  held?: number;
}

/** Something that reads what others have written. */
export interface Target {
  name: string;
  /** Makes the input that belongs to the mutator's seed, and gives it to what is tested. Throws what must not be. */
  run(mutator: Mutator): Taken | Promise<Taken>;
}

/** What the inputs of a target came to. */
export interface Tally {
  target: string;
  inputs: number;
  accepted: number;
  mostHeld: number;
  slowestMs: number;
  ms: number;
  violations: string[];
}

/** Of violations, as many as somebody will look at. */
const MAX_VIOLATIONS = 20;
/** An input is a few KB, and every target linear: this is for machines that do much else. */
const SLOW_MS = 10_000;

/** Gives a target the inputs of seeds. `onInput` is told of each before it is made. */
export async function fuzz(
  target: Target,
  seeds: Iterable<number>,
  onInput: (seed: number) => void = () => {},
): Promise<Tally> {
  const tally: Tally = {
    target: target.name,
    inputs: 0,
    accepted: 0,
    mostHeld: 0,
    slowestMs: 0,
    ms: 0,
    violations: [],
  };
  const began = performance.now();
  for (const seed of seeds) {
    onInput(seed);
    const before = performance.now();
    try {
      const taken = target.run(new Mutator(new Random(seed)));
      const { accepted, held = 0 } = taken instanceof Promise ? await taken : taken;
      tally.accepted += accepted ? 1 : 0;
      tally.mostHeld = Math.max(tally.mostHeld, held);
    } catch (error) {
      const what = error instanceof Error ? error.stack : String(error);
      if (tally.violations.length < MAX_VIOLATIONS)
        tally.violations.push(`${target.name}, seed ${seed}: ${what}`);
    }
    const ms = performance.now() - before;
    tally.inputs++;
    tally.slowestMs = Math.max(tally.slowestMs, ms);
    if (ms > SLOW_MS) tally.violations.push(`${target.name}, seed ${seed}: took ${ms} ms`);
  }
  tally.ms = performance.now() - began;
  return tally;
}

/** Fails unless `holds`. */
export function rule(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** What `work` threw, when it is of the right kind; undefined when it threw nothing. Any other error goes on. */
export function refusal(work: () => void, isOwn: (error: unknown) => boolean): Error | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (isOwn(error)) return error as Error;
    throw error;
  }
}

/** Bytes in the buffers and texts that can be reached from a value, each buffer whole and once, and something for each object. */
export function heldBytes(root: unknown): number {
  const seen = new Set<unknown>();
  const queue: unknown[] = [root];
  let bytes = 0;
  for (let value = queue.pop(); queue.length > 0 || value !== undefined; value = queue.pop()) {
    if (typeof value === "string") bytes += value.length;
    if (typeof value !== "object" || value === null || seen.has(value)) continue;
    seen.add(value);
    bytes += OBJECT_BYTES;
    if (ArrayBuffer.isView(value)) {
      if (!seen.has(value.buffer)) bytes += value.buffer.byteLength;
      seen.add(value.buffer);
    } else if (value instanceof Map) for (const entry of value) queue.push(...entry);
    else if (value instanceof Set) queue.push(...value);
    else for (const part of Object.values(value)) if (part !== undefined) queue.push(part);
  }
  return bytes;
}

const OBJECT_BYTES = 64;
