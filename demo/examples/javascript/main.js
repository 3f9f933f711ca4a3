// Runs in QuickJS, in a Linux box in this page. Press Run, or Ctrl+Enter.
import { readFileSync, wordCounts } from "./words.js";

const text = readFileSync("poem.txt");
for (const [word, count] of wordCounts(text).slice(0, 5)) {
  console.log(`${word.padEnd(8)} ${"█".repeat(count)} ${count}`);
}
