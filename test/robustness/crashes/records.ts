import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { BLOCKS, KEPT_FILES, LARGE_BLOCKS, LARGE_FILES, type Load, OVER_FILES, PUT_FILES } from "./guest.js";

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
const written = (number: number) => line(number, 613, 6000);
/** The number of a record of {@link written} that is whole; 0 where it is not, NaN where there is no such file. */
function wholeAt(path: string): number {
  if (!existsSync(path)) return Number.NaN;
  const text = read(path);
  const number = Number(/^(\d+) /.exec(text)?.[1] ?? 0);
  return text === written(number) ? number : 0;
}
const block = (number: number) => `b${String(number).padEnd(7)} ${String(number).padStart(4086, "0")}\n`;
const isBlock = (text: string, number: number) => number >= 0 && text === block(number);
const numberOf = (text: string) => Number(/^b(\d+) /.exec(text)?.[1] ?? -1);

/** What a folder that the writers of guest.ts have written to holds. Only the record under way may be in part there. */
export const READERS: Record<Load, (folder: string) => Found> = {
  append: (folder) => lines(join(folder, "log")),
  grown: (folder) => lines(join(folder, "grown")),
  held: (folder) => lines(join(folder, "held")),

  made(folder) {
    const names = existsSync(join(folder, "made")) ? readdirSync(join(folder, "made")) : [];
    const numbers = names.map((name) => Number(name.slice(1)));
    const whole = numbers.filter((number) => wholeAt(join(folder, "made", `f${number}`)) === number);
    const last = Math.max(0, ...whole);
    const bad: string[] = [];
    for (let number = Math.max(1, last - KEPT_FILES + 1); number <= last; number++)
      if (!whole.includes(number))
        bad.push(`file ${number} is ${numbers.includes(number) ? "not whole" : "gone"}`);
    for (const number of numbers)
      if (number > last + 1 || number < last - KEPT_FILES) bad.push(`there is a file ${number}`);
    return { last, bad: bad.map((what) => `${what}, the last is ${last}`) };
  },

  moved(folder) {
    const whole = wholeAt(join(folder, "moved"));
    return { last: whole || 0, bad: whole === 0 ? ["the file is not whole"] : [] };
  },

  over: (folder) => inTurns((i) => join(folder, `over${i}`), OVER_FILES, { atOnce: false }),
  put: (folder) => inTurns((i) => join(folder, `put${i}`), PUT_FILES, { atOnce: true }),

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

/** Lines at the end of a file. */
function lines(path: string): Found {
  const text = read(path);
  let last = 0;
  let at = 0;
  while (text.startsWith(appended(last + 1), at)) at += appended(++last).length;
  const isNext = appended(last + 1).startsWith(text.slice(at));
  return { last, bad: isNext ? [] : [`what follows line ${last} is another`] };
}

/** Files that are written anew in turns. Unless that is done at once, the next one may be there in part. */
function inTurns(pathOf: (i: number) => string, files: number, { atOnce }: { atOnce: boolean }): Found {
  const whole = Array.from({ length: files }, (_, i) => wholeAt(pathOf(i)));
  const last = Math.max(0, ...whole.filter((number) => number > 0));
  const bad: string[] = [];
  for (let number = Math.max(1, last - files + 1); number <= last; number++) {
    const mayBePart = !atOnce && number === last - files + 1;
    if (whole[number % files] !== number && !mayBePart)
      bad.push(`record ${number} is not whole, the last is ${last}`);
  }
  if (atOnce && whole.includes(0)) bad.push("a file is there in part");
  return { last, bad };
}

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
