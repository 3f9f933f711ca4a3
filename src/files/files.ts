import type { Backend } from "../backend/backend.js";
import { retryLater } from "../util/retry-later.js";
import type { BoxFiles, FileBox } from "./file-types.js";

/** Every method of {@link BoxFiles}: one that is missing here does not compile. */
const CALLS: Record<keyof BoxFiles, true> = {
  read: true,
  write: true,
  writeAll: true,
  list: true,
  stat: true,
  lstat: true,
  exists: true,
  mkdir: true,
  rename: true,
  remove: true,
  copy: true,
  pack: true,
  unpack: true,
};

/** Returns the files of a box. The code is loaded when they are first used, since most programs only run commands. */
export function filesOf(box: FileBox, backend: Backend): BoxFiles {
  let loading: Promise<BoxFiles> | undefined;
  const load = async () => new (await import("./file-commands.js")).FileCommands(box, backend);
  const commands = () => {
    loading ??= retryLater(load(), () => {
      loading = undefined;
    });
    return loading;
  };
  const call =
    (name: keyof BoxFiles) =>
    async (...args: never[]): Promise<unknown> => {
      const files = await commands();
      return (files[name] as (...args: never[]) => Promise<unknown>).apply(files, args);
    };
  const names = Object.keys(CALLS) as (keyof BoxFiles)[];
  return Object.fromEntries(names.map((name) => [name, call(name)])) as unknown as BoxFiles;
}
