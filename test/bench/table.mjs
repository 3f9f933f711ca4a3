const TITLES = {
  node_before: "Node, before",
  node: "Node",
  chromium_before: "Chromium, before",
  chromium: "Chromium",
  native: "native",
};

/** Prints results as a Markdown table of docs/internals/performance.md; missing figures are left empty. */
export function printTable({ machine, runs, columns }) {
  console.log(
    `${machine.cpu}, ${machine.cores} cores; Node ${machine.node}, Chromium ${machine.chromium}; ${runs} runs\n`,
  );
  const row = (cells) => console.log(`| ${cells.join(" | ")} |`);
  const all = Object.values(columns);
  row(["figure", ...Object.keys(columns).map((name) => TITLES[name])]);
  row(["---", ...all.map(() => "---:")]);
  for (const key of new Set(all.flatMap((figures) => Object.keys(figures))))
    row([key, ...all.map((figures) => figures[key] ?? "")]);
}
