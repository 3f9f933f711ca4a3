import { randomName } from "../../util/ids.js";

/** Beginning of the names of files that are being written beside the place that they will take by a rename: by the guest's agent, too. */
const TEMPORARY = ".boxrun-";

/** Returns a new name for such a file. */
export function temporaryName(): string {
  return `${TEMPORARY}${randomName()}`;
}

/** Returns true for such a name. Watches leave these files out until they are in their place. */
export function isTemporary(name: string): boolean {
  return name.startsWith(TEMPORARY);
}
