/** Commands for `/bin/sh` from templates. Loaded for the first one. */
import { invalid } from "../backend/errors.js";
import { ShellScanner } from "./shell-scanner.js";

/** Returns the shell command that a template makes of its raw text and its values. @throws {BoxRunError} VALIDATION_ERROR for a value that cannot be a word, or not in its place */
export function shellCommand(raw: readonly string[], values: readonly unknown[]): string {
  const scanner = new ShellScanner();
  return raw
    .map((text, i) => {
      scanner.read(text);
      if (i === values.length) return text;
      const name = `value ${i + 1} of the template`;
      const value = values[i];
      const next = raw[i + 1] as string;
      const isAlone =
        scanner.isBetweenWords && (next === "" ? i + 2 === raw.length : /^[\s;&|<>()]/.test(next));
      const word = isInArithmetic(scanner, name) ? integer(value, name) : words(value, name, isAlone);
      scanner.readWord();
      return text + word;
    })
    .join("");
}

/** Refuses a place where a quoted word would not be one. */
function isInArithmetic({ place }: ShellScanner, name: string): boolean {
  switch (place) {
    case "word":
      return false;
    case "arithmetic":
      return true;
    case "quotes":
      throw invalid(`${name} stands in quotes`, "values are quoted already: move it out of the quotes");
    case "comment":
      throw invalid(`${name} stands in a comment`);
    case "here-document":
      throw invalid(`${name} stands in a here-document`, "pass the text as stdin");
    case "dollar":
      throw invalid(`${name} follows a "$"`);
    case "unclear":
      throw invalid(
        `${name} stands where it cannot be quoted safely`,
        "assign it to a variable first, at the start",
      );
  }
}

function integer(value: unknown, name: string): string {
  if (Number.isSafeInteger(value) || typeof value === "bigint") return `(${value})`;
  throw invalid(`${name} must be an integer, because it stands in $((...))`);
}

function words(value: unknown, name: string, isAlone: boolean): string {
  if (!Array.isArray(value)) return quoted(value, name);
  if (!isAlone) throw invalid(`${name} is an array within a word`, "put spaces around it");
  return value.map((one, i) => quoted(one, `element ${i} of ${name}`)).join(" ");
}

function quoted(value: unknown, name: string): string {
  if (value === undefined || value === null) throw invalid(`${name} is ${value}`, 'use "" for an empty word');
  const type = typeof value;
  if (type !== "string" && type !== "number" && type !== "bigint" && type !== "boolean")
    throw invalid(`${name} must be a string, a number, a boolean or an array of them, got ${type}`);
  const text = String(value);
  if (text.includes("\0")) throw invalid(`${name} must not contain null characters`);
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
