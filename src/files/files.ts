import type { Backend } from "../backend/backend.js";
import { retryLater } from "../util/retry-later.js";
import type { BoxFiles, FileBox } from "./file-types.js";

const CALLS = [
  "read",
  "write",
  "list",
  "stat",
  "lstat",
  "exists",
  "mkdir",
  "rename",
  "remove",
  "copy",
  "pack",
  "unpack",
] as const satisfies (keyof BoxFiles)[];

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
    (name: (typeof CALLS)[number]) =>
    async (...args: never[]): Promise<unknown> => {
      const files = await commands();
      return (files[name] as (...args: never[]) => Promise<unknown>).apply(files, args);
    };
  return Object.fromEntries(CALLS.map((name) => [name, call(name)])) as unknown as BoxFiles;
}
