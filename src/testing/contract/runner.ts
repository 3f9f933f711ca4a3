/** What the suite needs of a test runner. Those of Vitest, Jest and Bun fit as they are, and Deno's of `@std/testing/bdd` with `@std/expect`. */
export interface Runner {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>): void;
  beforeAll(body: () => Promise<void>): void;
  afterAll(body: () => Promise<void>): void;
  expect: Expect;
}

/** Of a runner's `expect`, what the suite uses. */
export interface Expect {
  (actual: unknown): Matchers;
  any(type: unknown): unknown;
}

/** See {@link Expect}. */
export interface Matchers {
  not: Matchers;
  toBe(expected: unknown): void;
  toEqual(expected: unknown): void;
  toMatchObject(expected: object): void;
  toContain(expected: unknown): void;
  toHaveLength(length: number): void;
  toMatch(expected: RegExp): void;
  toBeInstanceOf(type: unknown): void;
  toBeUndefined(): void;
  toBeGreaterThan(than: number): void;
  toBeGreaterThanOrEqual(than: number): void;
  toBeLessThan(than: number): void;
  toBeLessThanOrEqual(than: number): void;
}

/** Declares a case, or with `each` one for every value. */
export interface Cases {
  (name: string, body: () => Promise<void>): void;
  /** `%j` in the name stands for the value as JSON. */
  each<T>(values: readonly T[]): (name: string, body: (value: T) => Promise<void>) => void;
}

/** Cases of a runner. Those that `cannot` names are run all the same, and must fail: one that passes has no business in that table, and one that is not there neither. */
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

/** How the names of cases begin that cannot pass on their target. */
export const CANNOT = "cannot: ";
