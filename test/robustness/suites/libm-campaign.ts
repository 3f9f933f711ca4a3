import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import {
  evaluate,
  FUNCTIONS,
  inputsOf,
  LANGUAGES,
  type MathFunction,
  REFERENCE_COUNT,
  REFERENCES,
  type Result,
  SUITE,
} from "./libm.js";

const INPUTS = 10_000;
const MAX_BYTES = 256 * 2 ** 20;

/**
 * Measures the functions of <math.h> in boxes against MPFR, and writes references.txt anew. Needs gcc and Debian's libmpfr-dev.
 */
export async function runCampaign({ say }: { say: (line: string) => void }): Promise<{
  report: string;
  violations: number;
}> {
  const folder = mkdtempSync(join(tmpdir(), "boxrun-libm-"));
  const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  try {
    const judge = buildJudge(folder);
    writeReferences(judge);
    const columns: string[] = [];
    const worst = new Map<MathFunction, string[]>(FUNCTIONS.map((one) => [one, []]));
    const found: string[] = [];
    for (const { name, image, language } of LANGUAGES) {
      const box = await client.create(image);
      columns.push(`${name}, \`${image}\``);
      for (const [of, cells] of worst) {
        if (!language.functions.includes(of.name)) {
          cells.push("");
          continue;
        }
        const inputs = inputsOf(of, INPUTS);
        const results = await evaluate(box, language, inputs);
        const errors = errorsOf(judge, inputs, results);
        const error = Math.max(...errors);
        cells.push(String(Number(error.toPrecision(3))));
        say(`${name} ${of.name}: ${error}`);
        if (of.limit !== null && !(error <= of.limit))
          found.push(
            `${name}: ${inputs[errors.indexOf(error)]} is ${error} off, at most ${of.limit} is allowed`,
          );
      }
      await box.remove({ force: true });
    }
    const rows = [...worst].map(([{ name }, cells]) => `| \`${name}\` | ${cells.join(" | ")} |`);
    const head = [`| function | ${columns.join(" | ")} |`, `| --- |${" ---: |".repeat(columns.length)}`];
    const report = [...found, `${found.length} over their limits.`, [...head, ...rows].join("\n")].join(
      "\n\n",
    );
    return { report, violations: found.length };
  } finally {
    await client.close();
    rmSync(folder, { recursive: true });
  }
}

type Judge = (lines: readonly string[], ...options: string[]) => string[];

function buildJudge(folder: string): Judge {
  const program = join(folder, "judge");
  const flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-o", program];
  execFileSync("gcc", [...flags, join(SUITE, "judge.c"), "-lmpfr", "-lgmp", "-lm"]);
  return (lines, ...options) =>
    execFileSync(program, options, { input: `${lines.join("\n")}\n`, encoding: "utf8", maxBuffer: MAX_BYTES })
      .trimEnd()
      .split("\n");
}

/** How far results are off; where a language has raised an error, whether it had a reason. */
function errorsOf(judge: Judge, inputs: readonly string[], results: readonly Result[]): number[] {
  // "nan" is what no true number is taken for
  const errors = judge(
    inputs.map((input, at) => `${input} ${results[at] === "raised" ? "nan" : results[at]}`),
  );
  const raised = inputs.flatMap((input, at) => (results[at] === "raised" ? [{ input, at }] : []));
  if (raised.length === 0) return errors.map(Number);
  const truths = judge(
    raised.map(({ input }) => input),
    "--references",
  );
  for (const [index, { at }] of raised.entries())
    errors[at] = /^[-+]?(inf|nan)/.test(truths[index]!) ? "0" : "Infinity";
  return errors.map(Number);
}

function writeReferences(judge: Judge): void {
  const inputs = FUNCTIONS.flatMap((one) => inputsOf(one, REFERENCE_COUNT));
  const values = judge(inputs, "--references");
  const lines = inputs.map((input, at) => `${input}; ${values[at]!.replace(" ", "; ")}\n`);
  writeFileSync(REFERENCES, lines.join(""));
}
