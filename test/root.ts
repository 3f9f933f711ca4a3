import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** The folder of this project, also for what is bundled into some other folder of it. */
export const ROOT = holderOfPackage(import.meta.dirname);

function holderOfPackage(folder: string): string {
  return existsSync(join(folder, "package.json")) ? folder : holderOfPackage(dirname(folder));
}
