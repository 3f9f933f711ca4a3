/** Rules for the lists of every backend. */

/** The status that filters nothing. */
const ALL = "all";

/** Puts boxes or executions in order: newest first, those of the same millisecond by id. */
export function newestFirst<T extends { id: string; createdAt: Date }>(items: Iterable<T>): T[] {
  return [...items].sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? -1 : 1));
}

/** Filters by status; no status and "all" filter nothing. */
export function inStatus<T extends { status: string }>(
  items: readonly T[],
  status: string | null | undefined,
): T[] {
  return items.filter((item) => (status ?? ALL) === ALL || item.status === status);
}
