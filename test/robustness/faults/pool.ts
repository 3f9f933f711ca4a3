import { type Ground, type Outcome, runSeed } from "./run.js";

/** Runs many seeds, `concurrency` of them at a time; what waits only for its sockets' end does not count. */
export async function runSeeds(
  seeds: Iterable<number>,
  ground: Ground,
  { concurrency, onDone = () => {} }: { concurrency: number; onDone?: (outcome: Outcome) => void },
): Promise<Outcome[]> {
  const outcomes: Promise<Outcome>[] = [];
  const queue = seeds[Symbol.iterator]();
  const work = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      await new Promise<void>((resolve) => {
        const outcome = runSeed(next.value, ground, resolve);
        outcomes.push(outcome);
        outcome
          .then(onDone)
          .finally(resolve)
          .catch(() => {});
      });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return Promise.all(outcomes);
}

/** `count` numbers from `first` on. */
export function* range(first: number, count: number): Generator<number> {
  for (let seed = first; seed < first + count; seed++) yield seed;
}
