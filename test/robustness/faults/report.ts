import type { Outcome } from "./run.js";

const COLUMNS = [
  "runs",
  "right",
  "CONNECTION_FAILED",
  "STREAM_INTERRUPTED",
  "other errors",
  "altered",
] as const;
type Column = (typeof COLUMNS)[number];

/** The outcomes as Markdown: by what went wrong, and by what was done. */
export function reportOf(outcomes: readonly Outcome[]): string {
  const longest = Math.max(0, ...outcomes.map(({ ms }) => ms));
  const violations = outcomes.reduce((sum, outcome) => sum + outcome.violations.length, 0);
  const byKind = ({ kinds }: Outcome) => (kinds.length > 1 ? "several kinds" : (kinds[0] ?? "nothing"));
  return [
    `${outcomes.length} runs, ${violations} violations. The longest run took ${(longest / 1000).toFixed(1)} s.`,
    tableOf("what went wrong", outcomes, byKind),
    tableOf("what was done", outcomes, ({ workload }) => workload),
    tableOf("server", outcomes, ({ target }) => target),
  ].join("\n\n");
}

function tableOf(title: string, outcomes: readonly Outcome[], keyOf: (outcome: Outcome) => string): string {
  const rows = new Map<string, Record<Column, number>>();
  for (const outcome of outcomes) {
    const key = keyOf(outcome);
    const row =
      rows.get(key) ?? (Object.fromEntries(COLUMNS.map((name) => [name, 0])) as Record<Column, number>);
    row.runs++;
    row[columnOf(outcome)]++;
    rows.set(key, row);
  }
  const lines = [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
  const cells = [
    [title, ...COLUMNS],
    ...lines.map(([key, row]) => [key, ...COLUMNS.map((name) => (row[name] === 0 ? "" : String(row[name])))]),
  ];
  const widths = [title, ...COLUMNS].map((_, column) =>
    Math.max(...cells.map((line) => (line[column] as string).length)),
  );
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number);
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [cells[0] as string[], rule, ...cells.slice(1)]
    .map((line) => `| ${line.map(pad).join(" | ")} |`)
    .join("\n");
}

function columnOf({ result }: Outcome): Column {
  return (COLUMNS as readonly string[]).includes(result) ? (result as Column) : "other errors";
}
