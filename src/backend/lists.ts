/** Rules for the lists of every backend. */
import { invalid } from "./errors.js";

/** The status that filters nothing. */
const ALL = "all";
const FILTERS = [ALL, "creating", "running", "stopped", "error"];

/** Puts boxes or executions in order: newest first, those of the same millisecond by id. */
export function newestFirst<T extends { id: string; createdAt: Date }>(items: Iterable<T>): T[] {
  return [...items].sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? -1 : 1));
}

/** Refuses a status that no box has, with VALIDATION_ERROR. */
export function requireStatus(status = ALL): void {
  if (!FILTERS.includes(status))
    throw invalid(`status must be one of ${FILTERS.join(", ")}, got ${JSON.stringify(status)}`);
}

/** Filters boxes by status; "all" filters nothing. VALIDATION_ERROR for a status that no box has. */
export function inStatus<T extends { status: string }>(boxes: readonly T[], status = ALL): T[] {
  requireStatus(status);
  return boxes.filter((box) => status === ALL || box.status === status);
}
