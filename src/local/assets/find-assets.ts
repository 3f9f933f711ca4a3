import { BoxRunError, isBoxRunError } from "../../backend/errors.js";
import { VERSION } from "../../util/version.js";
import type { AssetPlaces } from "./asset-places.js";
import { type AssetSource, damaged } from "./asset-source.js";
import { type AssetManifest, readManifest } from "./manifest.js";

/** Assets that were found: where they are, and what is there. */
export interface FoundAssets {
  source: AssetSource;
  manifest: AssetManifest;
}

/** Finds the first place that has assets. @throws {BoxRunError} IMAGE_PULL_FAILED when none has, or one has those of another version */
export async function findAssets(
  { locations, hint }: AssetPlaces,
  open: (location: string) => AssetSource,
): Promise<FoundAssets> {
  const failures: BoxRunError[] = [];
  for (const location of locations) {
    const source = open(location);
    try {
      return { source, manifest: await readOwn(source, hint) };
    } catch (error) {
      if (!isBoxRunError(error) || error.code !== "IMAGE_PULL_FAILED") throw error;
      failures.push(error);
    }
  }
  const [first] = failures;
  if (failures.length === 1) throw first;
  // Each message ends with the same advice.
  const reasons = failures.map(({ message }) => message.replace(` (${hint})`, ""));
  throw new BoxRunError("IMAGE_PULL_FAILED", reasons.join("; "), {
    retryable: failures.some(({ retryable }) => retryable),
    hint,
    cause: first,
  });
}

/** Reads the manifest of the package's own assets, which the code of another version cannot use. */
async function readOwn(source: AssetSource, hint: string): Promise<AssetManifest> {
  const manifest = await readManifest(source, hint);
  const { boxrun: theirs = VERSION } = manifest;
  if (theirs === VERSION) return manifest;
  const what = `belongs to version ${theirs} of boxrun, and this is ${VERSION}`;
  throw damaged(source, "manifest.json", what, { hint });
}
