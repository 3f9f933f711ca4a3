/** Order and filter of the lists that every backend returns. */
import type { BoxStatus } from "../contract/types.js";
import { invalid } from "./errors.js";

/** Status that filters nothing. */
const ALL = "all";
const FILTERS: readonly string[] = [ALL, "creating", "running", "stopped", "error"];

/** Sorts boxes or executions: newest first, those of the same millisecond by id. */
export function newestFirst<T extends { id: string; createdAt: Date }>(items: Iterable<T>): T[] {
  return [...items].sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? -1 : 1));
}

/** Checks a status to filter by. @throws {BoxRunError} VALIDATION_ERROR when no box can have it */
export function requireStatus(status: string = ALL): asserts status is BoxStatus | "all" {
  if (!FILTERS.includes(status))
    throw invalid(`status must be one of ${FILTERS.join(", ")}, got ${JSON.stringify(status)}`);
}

/** Filters boxes by status; "all" filters nothing. @throws {BoxRunError} VALIDATION_ERROR when no box can have it */
export function inStatus<T extends { status: string }>(boxes: readonly T[], status: string = ALL): T[] {
  requireStatus(status);
  return boxes.filter((box) => status === ALL || box.status === status);
}
