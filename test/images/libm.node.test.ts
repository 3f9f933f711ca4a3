import { BoxRunClient } from "boxrun";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  errorOf,
  evaluate,
  FUNCTIONS,
  LANGUAGES,
  type Result,
  readReferences,
} from "../robustness/suites/libm.js";

const references = readReferences();
let client: BoxRunClient;
beforeAll(() => {
  client = new BoxRunClient({ backend: "local", local: { persistent: false } });
});
afterAll(() => client?.close());

const nameOf = (input: string) => input.slice(0, input.indexOf(" "));

describe.each(LANGUAGES)("the mathematics of $name in $image", ({ image, language }) => {
  it("is within its limits of error, by MPFR", async () => {
    const box = await client.create(image, { memoryMb: 256 });
    const asked = references.filter(([input]) => language.functions.includes(nameOf(input)));
    const results = await evaluate(
      box,
      language,
      asked.map(([input]) => input),
    );
    const worst = new Map<string, { error: number; input: string; got: Result }>();
    for (const [at, reference] of asked.entries()) {
      const [input] = reference;
      const error = errorOf(results[at]!, reference);
      if (error >= (worst.get(nameOf(input))?.error ?? 0))
        worst.set(nameOf(input), { error, input, got: results[at]! });
    }
    const limits = new Map(FUNCTIONS.map(({ name, limit }) => [name, limit ?? Number.POSITIVE_INFINITY]));
    const over = [...worst].filter(([name, { error }]) => error > limits.get(name)!);
    expect(over).toEqual([]);
    expect([...worst.keys()].sort()).toEqual([...language.functions].sort());
  });
});
