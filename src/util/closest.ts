/** Returns the name that was probably meant: the same but for case and signs, or one letter away, two in a long word. Undefined when none is close. */
export function closest(given: string, names: Iterable<string>): string | undefined {
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, "");
  const meant = plain(given);
  let best: string | undefined;
  let least = meant.length > 6 ? 2 : 1;
  for (const name of names) {
    const steps = distance(meant, plain(name));
    if (steps > least || (steps === least && best !== undefined)) continue;
    best = name;
    least = steps;
  }
  return best;
}

/** Returns how many letters must be added, removed, replaced or swapped with their neighbours to turn one word into another. */
function distance(from: string, to: string): number {
  if (Math.abs(from.length - to.length) > 2) return Number.POSITIVE_INFINITY;
  const rows = [[...Array(to.length + 1).keys()]];
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1];
      row[j] = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1])
        row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
    }
    rows.push(row);
  }
  return rows[from.length]![to.length]!;
}
