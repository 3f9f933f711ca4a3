import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/**
 * Makes a folder unless it was already made from the same things.
 * @param {string} folder
 * @param {string} from what it is made from
 * @param {(folder: string) => void} make
 * @returns {string} the folder; beside it is a file FOLDER.from
 */
export function once(folder, from, make) {
  const mark = `${folder}.from`;
  if (existsSync(mark) && readFileSync(mark, "utf8") === from) return folder;
  rmSync(mark, { force: true });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  make(folder);
  writeFileSync(mark, from);
  return folder;
}
