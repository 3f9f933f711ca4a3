/** Prints results as the Markdown table of docs/performance.md. */
export function printTable({ machine, runs, node, chromium }) {
  console.log(
    `${machine.cpu}, ${machine.cores} cores; Node ${machine.node}, Chromium ${machine.chromium}; ${runs} runs\n`,
  );
  console.log("| figure | Node | Chromium |");
  console.log("|---|---:|---:|");
  for (const key of new Set([...Object.keys(node), ...Object.keys(chromium)]))
    console.log(`| ${key} | ${node[key] ?? ""} | ${chromium[key] ?? ""} |`);
}
