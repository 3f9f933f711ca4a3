import { BoxRunError } from "../../backend/errors.js";
import type { RouteParams } from "../../contract/routes.js";
import { isWellFormed } from "../../util/well-formed.js";

/** Checks the parameters of a path. @throws {BoxRunError} BOX_NOT_FOUND or EXEC_NOT_FOUND for text that cannot be an id */
export function at(box: string, exec?: string): RouteParams {
  requireBoxId(box);
  if (exec === undefined) return { box };
  if (!isSegment(exec))
    throw new BoxRunError("EXEC_NOT_FOUND", `there is no execution ${JSON.stringify(exec)}`);
  return { box, exec };
}

/** Checks the id of a box. @throws {BoxRunError} BOX_NOT_FOUND for text that cannot be an id */
export function requireBoxId(box: string): string {
  if (!isSegment(box)) throw new BoxRunError("BOX_NOT_FOUND", `there is no box ${JSON.stringify(box)}`);
  return box;
}

/**
 * Checks that a value can be a segment of a path. An empty segment, or one of dots however encoded, is removed from a URL, which makes it another request. Half
 * a surrogate pair cannot be encoded at all.
 */
function isSegment(value: string): boolean {
  return !/^\.{0,2}$/.test(value) && isWellFormed(value);
}
