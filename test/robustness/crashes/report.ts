import type { HostName, Outcome } from "./run.js";

const HOSTS: HostName[] = ["node", "chromium"];

/** The outcomes as Markdown, by host. */
export function reportOf(outcomes: readonly Outcome[]): string {
  const rows = HOSTS.map((host) => {
    const own = outcomes.filter((outcome) => outcome.host === host);
    const sum = (count: (outcome: Outcome) => number) =>
      own.reduce((total, outcome) => total + count(outcome), 0);
    const cells = [
      host,
      own.length,
      sum(({ tally }) => tally.kills),
      sum(({ tally }) => tally.full),
      sum(({ tally }) => tally.records),
      sum(({ violations }) => violations.length),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const head = "| host | lives | kills | storage full | records acknowledged | violations |";
  return [head, "| --- | ---: | ---: | ---: | ---: | ---: |", ...rows].join("\n");
}
