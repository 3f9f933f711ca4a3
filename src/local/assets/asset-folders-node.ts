import { besideBuild } from "../../util/beside-build-node.js";

/** Returns the URLs of the folders of assets that came with the package, each ending in "/". */
export function assetFolders(): string[] {
  return [besideBuild("../assets/").href];
}
