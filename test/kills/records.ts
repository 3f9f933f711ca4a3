import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { BLOCKS, KEPT_FILES, LARGE_BLOCKS, LARGE_FILES, type Load } from "./guest.js";

/** What a disk holds of one load. */
export interface Found {
  /** The last record that is whole. All before it are, too, but for what `bad` says. */
  last: number;
  bad: string[];
}

const BLOCK_BYTES = 4096;
const line = (number: number, factor: number, width: number) =>
  `${number} ${String(number).padStart(((number * factor) % width) + 1, "0")}\n`;
const appended = (number: number) => line(number, 37, 900);
const block = (number: number) => `b${String(number).padEnd(7)} ${String(number).padStart(4086, "0")}\n`;
const isBlock = (text: string, number: number) => number >= 0 && text === block(number);
const numberOf = (text: string) => Number(/^b(\d+) /.exec(text)?.[1] ?? -1);

/** What a folder that the writers of guest.ts have written to holds. Only the record under way may be in part there. */
export const READERS: Record<Load, (folder: string) => Found> = {
  append(folder) {
    const text = read(join(folder, "log"));
    let last = 0;
    let at = 0;
    while (text.startsWith(appended(last + 1), at)) at += appended(++last).length;
    // A file may be as long as it was to be, with zeroes where there was no time.
    const under = text.slice(at);
    const next = appended(last + 1);
    const isNext =
      under.length <= next.length && [...under].every((char, i) => char === next[i] || char === "\0");
    return { last, bad: isNext ? [] : [`what follows line ${last} is another`] };
  },

  files(folder) {
    const names = existsSync(join(folder, "files")) ? readdirSync(join(folder, "files")) : [];
    const numbers = names.filter((name) => name.startsWith("f")).map((name) => Number(name.slice(1)));
    const last = Math.max(0, ...numbers);
    const bad: string[] = [];
    for (const number of numbers) {
      if (read(join(folder, "files", `f${number}`)) !== line(number, 613, 6000))
        bad.push(`file ${number} is not whole`);
      if (number < last - KEPT_FILES) bad.push(`file ${number} is back`);
    }
    for (let number = last; number > Math.max(0, last - KEPT_FILES); number--)
      if (!numbers.includes(number)) bad.push(`file ${number} is gone`);
    for (const name of names)
      if (name.startsWith("t") && name !== `t${last + 1}`) bad.push(`${name} is back`);
    return { last, bad: bad.map((what) => `${what}, the last is ${last}`) };
  },

  blocks(folder) {
    const text = read(join(folder, "blocks"));
    // Not yet made.
    if (text === "") return { last: 0, bad: [] };
    const found = Array.from({ length: BLOCKS }, (_, i) =>
      text.slice(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES),
    );
    const last = Math.max(
      ...found.map((each, i) =>
        isBlock(each, numberOf(each)) && numberOf(each) % BLOCKS === i ? numberOf(each) : 0,
      ),
    );
    const journal = read(join(folder, "journal"));
    const bad = found.flatMap((each, i) => {
      const number = last - ((last - i + BLOCKS) % BLOCKS);
      if (isBlock(each, number)) return [];
      if (i === (last + 1) % BLOCKS && isBlock(journal, last + 1)) return [];
      return [`block ${i} is ${JSON.stringify(each.slice(0, 10))} instead of ${number}`];
    });
    if (text.length !== BLOCKS * BLOCK_BYTES) bad.push(`there are ${text.length} bytes of blocks`);
    return { last: last - (BLOCKS - 1), bad };
  },

  large(folder) {
    const whole = Array.from({ length: LARGE_FILES }, (_, i) => {
      const text = read(join(folder, `large${i}`));
      const number = numberOf(text);
      return number % LARGE_FILES === i && text === block(number).repeat(LARGE_BLOCKS) ? number : 0;
    });
    const last = Math.max(...whole);
    const isThere = last <= 1 || whole[(last - 1) % LARGE_FILES] === last - 1;
    return { last, bad: isThere ? [] : [`the one before ${last} is not whole`] };
  },
};

/** What the guest has to say of a folder: see `LIST` in guest.ts. */
export function listOf(folder: string): string {
  if (!existsSync(folder)) return "";
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [
      createHash("md5").update(readFileSync(path)).digest("hex"),
      `.${path.slice(folder.length)}`,
    ])
    .sort(([, a], [, b]) => (a! < b! ? -1 : 1))
    .map(([hash, path]) => `${hash}  ${path}\n`)
    .join("");
}

function read(path: string): string {
  return existsSync(path) ? readFileSync(path, "latin1") : "";
}
