/** The part of a test runner that {@link contractSuite} uses. Vitest, Jest and Bun fit as they are, and for Deno `@std/testing/bdd` with `@std/expect`. */
export interface Runner {
  /** Declares a group of cases. */
  describe(name: string, body: () => void): void;
  /** Declares a case. */
  it(name: string, body: () => Promise<void>): void;
  /** Runs `body` once before all cases of the group. */
  beforeAll(body: () => Promise<void>): void;
  /** Runs `body` once after all cases of the group. */
  afterAll(body: () => Promise<void>): void;
  /** Function that checks values. */
  expect: Expect;
}

/** The part of a runner's `expect` that the suite uses. */
export interface Expect {
  /** Returns the matchers for a value. */
  (actual: unknown): Matchers;
  /** Returns a stand-in that equals any value of a type. */
  any(type: unknown): unknown;
}

/** The matchers that the suite uses. Each throws when the value is not as expected. */
export interface Matchers {
  /** Inverts the matcher that follows. */
  not: Matchers;
  /** Expects the value itself, as Object.is compares it. */
  toBe(expected: unknown): void;
  /** Expects a value with the same contents. */
  toEqual(expected: unknown): void;
  /** Expects an object that has at least these properties. */
  toMatchObject(expected: object): void;
  /** Expects an array with this element, or text with this part. */
  toContain(expected: unknown): void;
  /** Expects a `length`. */
  toHaveLength(length: number): void;
  /** Expects text that matches. */
  toMatch(expected: RegExp): void;
  /** Expects an instance of a class. */
  toBeInstanceOf(type: unknown): void;
  /** Expects undefined. */
  toBeUndefined(): void;
  /** Expects a larger number. */
  toBeGreaterThan(than: number): void;
  /** Expects a number that is not smaller. */
  toBeGreaterThanOrEqual(than: number): void;
  /** Expects a smaller number. */
  toBeLessThan(than: number): void;
  /** Expects a number that is not larger. */
  toBeLessThanOrEqual(than: number): void;
}

/** Declares a case, or with `each` one for every value. */
export interface Cases {
  /** Declares a case. */
  (name: string, body: () => Promise<void>): void;
  /** Declares a case for every value. `%j` in the name stands for the value as JSON. */
  each<T>(values: readonly T[]): (name: string, body: (value: T) => Promise<void>) => void;
}

/**
 * Wraps the cases of a runner. Cases that `cannot` names are run all the same, and must fail. `unknown` returns the names in `cannot` for which there was no
 * case.
 */
export function casesOf(
  { it }: Pick<Runner, "it">,
  cannot: Readonly<Record<string, string>>,
): { cases: Cases; unknown: () => string[] } {
  const names = new Set<string>();
  const declare = (name: string, body: () => Promise<void>) => {
    names.add(name);
    const reason = Object.hasOwn(cannot, name) ? cannot[name] : undefined;
    if (reason === undefined) return it(name, body);
    it(`${CANNOT}${name}: ${reason}`, async () => {
      const passed = await body().then(
        () => true,
        () => false,
      );
      if (passed) throw new Error("it can: take it out of the target's table");
    });
  };
  const each =
    <T>(values: readonly T[]) =>
    (name: string, body: (value: T) => Promise<void>) => {
      for (const value of values) declare(name.replaceAll("%j", JSON.stringify(value)), () => body(value));
    };
  return {
    cases: Object.assign(declare, { each }),
    unknown: () => Object.keys(cannot).filter((name) => !names.has(name)),
  };
}

/** Prefix of the names of cases that cannot pass on their target. */
export const CANNOT = "cannot: ";
