import type { Backend } from "../backend/backend.js";
import { asyncDispose } from "../util/dispose.js";
import { retryLater } from "../util/retry-later.js";
import type { BoxFiles, FileBox, FileWatch } from "./file-types.js";
import type { OpenFileWatch } from "./file-watch.js";

/** Every method of {@link BoxFiles} that returns a promise: one that is missing here does not compile. */
const CALLS: Record<Exclude<keyof BoxFiles, "watch">, true> = {
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
  const load = async () => new (await import("./file-commands.js")).FileCommands(box, backend);
  let loading: ReturnType<typeof load> | undefined;
  const commands = () => {
    loading ??= retryLater(load(), () => {
      loading = undefined;
    });
    return loading;
  };
  const call =
    (name: keyof typeof CALLS) =>
    async (...args: never[]): Promise<unknown> => {
      const files = await commands();
      return (files[name] as (...args: never[]) => Promise<unknown>).apply(files, args);
    };
  const names = Object.keys(CALLS) as (keyof typeof CALLS)[];
  const watch: BoxFiles["watch"] = (path, options = {}) =>
    watchOf(commands().then((files) => files.openWatch(path, options)));
  return { ...Object.fromEntries(names.map((name) => [name, call(name)])), watch } as unknown as BoxFiles;
}

/** Returns a watch that is being opened. */
function watchOf(opening: Promise<OpenFileWatch>): FileWatch {
  const ready = opening.then(() => {});
  ready.catch(() => {});
  const end = async (): ReturnType<FileWatch["return"]> => {
    opening.then((watch) => watch.return()).catch(() => {});
    return { done: true, value: undefined };
  };
  return {
    ready,
    next: async () => (await opening).next(),
    return: end,
    [Symbol.asyncIterator]() {
      return this;
    },
    [asyncDispose]: async () => void (await end()),
  };
}
