import { type AssetPlan, planAssets } from "./asset-plan.js";
import type { FolderCommand } from "./command-line.js";
import { megabytes, print } from "./output.js";
import { RecordedFolder } from "./recorded-folder.js";

/** Record of what was copied into a folder of assets. */
export const ASSETS_RECORD = ".boxrun-assets";

/** Copies what pages need of some images into a folder that is served with them. */
export async function assetsCommand({ folder, images, memoryMb }: FolderCommand): Promise<number> {
  const plan = await planAssets(images, memoryMb);
  const target = await RecordedFolder.open(folder, ASSETS_RECORD, plan.files);
  await print(process.stdout, summary(folder, plan, await target.write()));
  return 0;
}

function summary(folder: string, { images, files, bytes }: AssetPlan, removed: number): string {
  return (
    `${folder}: ${images.join(", ")} in ${files.size} files, ${megabytes(bytes)} MB${removedNote(removed)}\n` +
    `A client finds the folder where it is served as boxrun/ below the address of its page. For another\n` +
    `place, name it: new BoxRunClient({ local: { assets: "/its/path/" } })\n`
  );
}

/** Returns what to add to a summary about files of an earlier run. */
export function removedNote(count: number): string {
  return count === 0 ? "" : `, removed ${count} of an earlier run`;
}
