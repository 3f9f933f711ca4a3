import * as std from "qjs:std";

export function readFileSync(path) {
  const text = std.loadFile(path);
  if (text === null) throw new Error(`cannot read ${path}`);
  return text;
}

/** Returns the words of a text with how often each occurs, the most frequent first. */
export function wordCounts(text) {
  const counts = new Map();
  for (const word of text.toLowerCase().match(/\p{Letter}+/gu) ?? []) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a);
}
