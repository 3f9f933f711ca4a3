import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BoxHandle } from "boxrun";
import { ROOT } from "../../root.js";
import { Random } from "../faults/random.js";

/** The folder of the judge, the programs and the references. */
export const SUITE = join(ROOT, "test/robustness/suites/libm");

/** A function of <math.h>. */
export interface MathFunction {
  name: string;
  /** Where ordinary arguments lie: of the first, and of the second where there are two. */
  ranges: [low: number, high: number][];
  /** The largest error that is allowed, in units in the last place; null for functions that are only reported. */
  limit: number | null;
}

const one = (name: string, low: number, high: number, limit: number | null): MathFunction => ({
  name,
  ranges: [[low, high]],
  limit,
});
const two = (name: string, low: number, high: number, limit: number | null): MathFunction => ({
  name,
  ranges: [
    [low, high],
    [low, high],
  ],
  limit,
});

/** Errors of exact functions are those of rounding alone. */
const EXACT = 0.5;

export const FUNCTIONS: readonly MathFunction[] = [
  two("fmod", -1e6, 1e6, 0),
  two("remainder", -1e6, 1e6, 0),
  {
    name: "ldexp",
    ranges: [
      [-1, 1],
      [-1100, 1100],
    ],
    limit: EXACT,
  },
  one("sqrt", 0, 100, EXACT),
  one("exp", -745, 710, 1),
  one("exp2", -1075, 1024, 1),
  one("exp10", -324, 309, 1),
  one("expm1", -50, 710, 1),
  one("log", 0, 100, 1),
  one("log2", 0, 100, 1),
  one("log10", 0, 100, 1),
  one("log1p", -1, 100, 1),
  two("pow", 0, 30, 1),
  one("sin", -100, 100, 1),
  one("cos", -100, 100, 1),
  one("tan", -100, 100, 1),
  one("asin", -1, 1, 1),
  one("acos", -1, 1, 1),
  one("atan", -100, 100, 1),
  two("atan2", -10, 10, 1),
  one("sinh", -20, 20, 2.5),
  one("cosh", -20, 20, 2.5),
  one("tanh", -3, 3, 2.5),
  one("asinh", -5, 5, 2.5),
  one("acosh", 1, 5, 2.5),
  one("atanh", -1, 1, 2.5),
  one("cbrt", -100, 100, 1),
  two("hypot", -100, 100, 1),
  one("erf", -6, 6, null),
  one("erfc", -6, 27, null),
  one("tgamma", -170, 171, null),
  one("lgamma", -20, 100, null),
  one("j0", -50, 50, null),
  one("j1", -50, 50, null),
  one("y0", 0, 50, null),
  one("y1", 0, 50, null),
];

/** Functions that MPFR takes minutes for where the argument is huge. */
const NEVER_HUGE = ["tgamma", "lgamma", "j0", "j1", "y0", "y1"];
const KINDS = 5;

/** Arguments of a function, as lines of "NAME X" or "NAME X Y": ordinary ones, any bits, tiny, subnormal, and next to eighths, all the same for the same seed. */
export function inputsOf({ name, ranges }: MathFunction, count: number, seed = 1): string[] {
  const random = new Random(seed);
  const argument = (kind: number, [low, high]: [number, number]): number => {
    const ordinary = low + (high - low) * random.next();
    if (kind === 1 && !NEVER_HUGE.includes(name)) return anyNumber(random);
    if (kind === 2) return (random.next() - 0.5) * 2 ** -random.between(0, 199);
    if (kind === 3) return subnormal(random);
    if (kind === 4) return next(Math.round(ordinary * 8) / 8, random.between(-4, 4));
    return ordinary;
  };
  return Array.from({ length: count }, (_, at) => {
    const x = argument(at % KINDS, ranges[0]!);
    if (ranges.length === 1) return `${name} ${x}`;
    const y = argument(Math.floor(at / KINDS) % KINDS, ranges[1]!);
    if (name === "ldexp") return `${name} ${x} ${random.between(...ranges[1]!)}`;
    // A remainder of nothing is an error in some languages.
    return `${name} ${x} ${y === 0 ? 1 : y}`;
  });
}

const view = new DataView(new ArrayBuffer(8));

function fromBits(bits: bigint): number {
  view.setBigUint64(0, BigInt.asUintN(64, bits));
  return view.getFloat64(0);
}

function bitsOf(random: Random): bigint {
  return (BigInt(random.between(0, 2 ** 32 - 1)) << 32n) | BigInt(random.between(0, 2 ** 32 - 1));
}

function anyNumber(random: Random): number {
  for (;;) {
    const number = fromBits(bitsOf(random));
    if (Number.isFinite(number)) return number;
  }
}

function subnormal(random: Random): number {
  const size = fromBits((bitsOf(random) >> BigInt(12 + random.between(0, 51))) & 0xf_ffff_ffff_ffffn);
  return random.chance(0.5) ? -size : size;
}

/** The number that is so many after this one. */
function next(number: number, steps: number): number {
  view.setFloat64(0, number);
  const moved = fromBits(view.getBigUint64(0) + BigInt(steps));
  return Number.isFinite(moved) ? moved : number;
}

/** A language of a box, by a program that evaluates lines of inputs. */
export interface Language {
  program: string;
  command: string[];
  /** Names of the functions that it has. */
  functions: readonly string[];
}

const AWK: Language = {
  program: "evaluate.awk",
  command: ["awk", "-f"],
  functions: ["fmod", "pow", "exp", "log", "sin", "cos", "sqrt", "atan2"],
};
const JAVASCRIPT: Language = {
  program: "evaluate.js",
  command: ["qjs", "-m"],
  functions:
    "fmod pow sqrt exp expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh cbrt hypot".split(
      " ",
    ),
};
const PYTHON: Language = {
  program: "evaluate.py",
  command: ["python3"],
  functions: FUNCTIONS.map(({ name }) => name).filter(
    (name) => !["exp10", "j0", "j1", "y0", "y1"].includes(name),
  ),
};
/** The library of all dynamically linked programs. */
const C: Language = {
  program: "evaluate.c",
  command: ["tcc", "-lm", "-run"],
  functions: FUNCTIONS.map(({ name }) => name),
};

/** Where the functions are measured. */
export const LANGUAGES: readonly { name: string; image: string; language: Language }[] = [
  { name: "awk", image: "tiny", language: AWK },
  { name: "JavaScript", image: "tiny", language: JAVASCRIPT },
  { name: "awk", image: "debian", language: AWK },
  { name: "Python", image: "debian", language: PYTHON },
  { name: "C", image: "debian", language: C },
];

/** What a function gave; "raised" where the language has an error for values that are infinite or undefined. */
export type Result = number | "raised";

const MAX_OUTPUT_BYTES = 64 * 2 ** 20;

/** The values of lines of {@link inputsOf}, computed in a box. */
export async function evaluate(
  box: BoxHandle,
  { program, command }: Language,
  lines: readonly string[],
): Promise<Result[]> {
  const path = `/tmp/${program}`;
  await box.files.write(path, readFileSync(join(SUITE, program)));
  const { stdout } = await box.exec([...command, path], {
    stdin: `${lines.join("\n")}\n`,
    maxOutputBytes: MAX_OUTPUT_BYTES,
    check: true,
  });
  const told = stdout.trimEnd().split("\n");
  const results = told.map((text) => (text === "raised" ? text : toNumber(text)));
  if (results.length !== lines.length)
    throw new Error(`expected ${lines.length} results of ${program}, got ${results.length}`);
  return results;
}

/** Parses a number in the ways in which the languages print it. */
function toNumber(text: string): number {
  const infinite = /^([-+]?)inf(?:inity)?$/i.exec(text);
  if (infinite) return infinite[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (/^[-+]?nan$/i.test(text)) return Number.NaN;
  if (text === "" || Number.isNaN(Number(text))) throw new Error(`this is no number: ${text}`);
  return Number(text);
}

/** True values of a few inputs, by MPFR: `[input, the number nearest to it, what is left]`. `npm run soak -- --suite libm` writes them. */
export type Reference = [input: string, nearest: number, rest: number];

export const REFERENCES = join(SUITE, "references.txt");
/** How many inputs of a function have one. */
export const REFERENCE_COUNT = 50;

export function readReferences(): Reference[] {
  const lines = readFileSync(REFERENCES, "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const [input, nearest, rest] = line.split("; ") as [string, string, string];
    return [input, toNumber(nearest), toNumber(rest)];
  });
}

/** How far a result is from a true value, in units in the last place of the number nearest to it. */
export function errorOf(result: Result, [, nearest, rest]: Reference): number {
  if (result === "raised") return Number.isFinite(nearest) ? Number.POSITIVE_INFINITY : 0;
  if (Object.is(result, nearest)) return Math.abs(rest) / unit(nearest) || 0;
  if (!Number.isFinite(result) || !Number.isFinite(nearest)) return Number.POSITIVE_INFINITY;
  return Math.abs(result - nearest - rest) / unit(nearest);
}

/** The unit in the last place of a number. */
function unit(number: number): number {
  const size = Math.abs(number);
  return size < 2 ** -1021 ? Number.MIN_VALUE : 2 ** (Math.floor(Math.log2(size)) - 52);
}
