import { type BoxInfo, BoxRunClient } from "../index.js";
import type { ListCommand } from "./command-line.js";
import { openClient } from "./connection.js";
import { print, printable } from "./output.js";

const HEADER = ["ID", "NAME", "IMAGE", "STATUS", "AGE"];
/** Units of an age, in milliseconds. */
const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 };
/** An age is shown in the largest unit of which it has at least so many: "90s" says more than "1m". */
const LEAST = 2;

/** Prints the boxes of a server or of this machine. */
export async function listCommand(command: ListCommand): Promise<number> {
  const { state, json } = command;
  await using client =
    state === undefined
      ? await openClient(command)
      : new BoxRunClient({ backend: "local", local: { state } });
  const boxes = await client.listBoxes();
  await print(process.stdout, json ? boxJson(boxes) : boxTable(boxes, Date.now()));
  return 0;
}

/** Returns a line for each box, in columns, below a header. */
export function boxTable(boxes: readonly BoxInfo[], now: number): string {
  const rows = boxes.map(({ id, name, image, status, createdAt }) =>
    [id, name ?? "-", image, status, ageOf(now - createdAt.getTime())].map((text) =>
      printable(text).replace(/\s/g, " "),
    ),
  );
  const table = [HEADER, ...rows];
  const widths = HEADER.map((_title, column) => Math.max(...table.map((row) => row[column]!.length)));
  const lineOf = (row: string[]) => row.map((text, column) => text.padEnd(widths[column]!)).join("  ");
  return table.map((row) => `${lineOf(row).trimEnd()}\n`).join("");
}

/** Returns the boxes as a JSON array, in which nothing is a command to a terminal. */
export function boxJson(boxes: readonly BoxInfo[]): string {
  const escaped = (control: string) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const json = JSON.stringify(boxes, null, 2).replace(/(?!\n)[\p{Cc}\p{Bidi_Control}]/gu, escaped);
  return `${json}\n`;
}

function ageOf(ms: number): string {
  const [unit, size] = Object.entries(UNITS).find(([, each]) => ms >= LEAST * each) ?? ["s", UNITS.s];
  return `${Math.max(0, Math.floor(ms / size))}${unit}`;
}
