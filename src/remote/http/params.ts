import { BoxRunError } from "../../backend/errors.js";
import type { RouteParams } from "../../contract/routes.js";
import { isWellFormed } from "../../util/well-formed.js";

/** The parameters of a path. Throws BOX_NOT_FOUND and EXEC_NOT_FOUND for what no id looks like. */
export function at(box: string, exec?: string): RouteParams {
  requireBoxId(box);
  if (exec === undefined) return { box };
  if (!isSegment(exec))
    throw new BoxRunError("EXEC_NOT_FOUND", `there is no execution ${JSON.stringify(exec)}`);
  return { box, exec };
}

/** The id of a box that can be one. Throws BOX_NOT_FOUND. */
export function requireBoxId(box: string): string {
  if (!isSegment(box)) throw new BoxRunError("BOX_NOT_FOUND", `there is no box ${JSON.stringify(box)}`);
  return box;
}

/** Checks that a value can stand in a path. An empty segment, or one of dots however it is encoded, is taken out of a URL, which makes it another request. Half a surrogate pair cannot be encoded at all. */
function isSegment(value: string): boolean {
  return !/^\.{0,2}$/.test(value) && isWellFormed(value);
}
