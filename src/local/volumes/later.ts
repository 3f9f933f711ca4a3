import type { Later } from "./volume-files.js";

/** Goes on with a result: at once if it is there. */
export function after<T, R>(result: Later<T>, next: (value: T) => Later<R>): Later<R> {
  return result instanceof Promise ? result.then(next) : next(result);
}

/** Does `next` for one item after the other. */
export function forEachLater<T>(
  items: readonly T[],
  next: (item: T, index: number) => Later<void>,
): Later<void> {
  for (let index = 0; index < items.length; index++) {
    const done = next(items[index]!, index);
    if (!(done instanceof Promise)) continue;
    const rest = items.slice(index + 1);
    return done.then(() => forEachLater(rest, (item, offset) => next(item, index + 1 + offset)));
  }
}
