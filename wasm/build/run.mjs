import { spawnSync } from "node:child_process";

/**
 * Runs a program to its end, its output going where ours goes.
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string> }} [options] `env` is added to ours
 * @throws {Error} when it could not be started or did not end with 0
 */
export function run(program, args, { cwd, env } = {}) {
  const { status, error } = spawnSync(program, args, {
    cwd,
    env: { ...process.env, ...FIXED, ...env },
    stdio: "inherit",
  });
  if (error) throw new Error(`${program}: ${error.message}`);
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}`);
}

/**
 * Runs a program to its end, and returns the bytes that it wrote to its standard output.
 * @param {string} program
 * @param {string[]} args
 * @param {Uint8Array} [input] for its standard input
 * @returns {Buffer}
 * @throws {Error} when it could not be started or did not end with 0
 */
export function capture(program, args, input) {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    input,
    env: { ...process.env, ...FIXED },
    maxBuffer: MAX_CAPTURED_BYTES,
  });
  if (error) throw new Error(`${program}: ${error.message}`);
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}: ${stderr}`);
  return stdout;
}

/**
 * Runs a program and returns what it wrote to its standard output.
 * @param {string} program
 * @param {string[]} args
 * @returns {string} empty when the program failed: the callers ask questions to which that is an answer
 */
export function ask(program, args) {
  const { stdout } = spawnSync(program, args, {
    encoding: "utf8",
    env: { ...process.env, ...FIXED },
    maxBuffer: MAX_CAPTURED_BYTES,
  });
  return stdout ?? "";
}

/** Far above the largest list of packages. */
const MAX_CAPTURED_BYTES = 256 << 20;

/** Sorting, dates and messages must not depend on who builds. */
const FIXED = { LC_ALL: "C", TZ: "UTC" };
