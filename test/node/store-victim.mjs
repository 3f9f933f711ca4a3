/**
 * Does to a store of boxes what a history says, and kills itself at a certain call of the file system: `node store-victim.mjs STORE FOLDER HISTORY AT HOW`. STORE is a module with `folderStore`, HISTORY a
 * list in JSON of steps as store-crash.test.ts makes them; AT counts the calls that change something, from 1 on. HOW: "before" the call; "half", which leaves half of what it was to write or remove.
 * Prints the number of each step that is done, and at the end the names of all calls.
 */
import { writeSync } from "node:fs";
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";

const [module, folder, history, at, how] = process.argv.slice(2);
const calls = [];
const die = () => process.kill(process.pid, "SIGKILL");
const real = { ...fs };

/** What is left of a call that is cut off. */
const halves = {
  writeFile: (path, text, options) => real.writeFile(path, text.slice(0, text.length / 2), options),
  appendFile: (path, text) => real.appendFile(path, text.slice(0, text.length / 2)),
  rm: async (path, { recursive }) => {
    if (recursive) for (const name of (await real.readdir(path)).slice(1)) await real.rm(join(path, name));
  },
};

function watch(owner, name, half) {
  const call = owner[name].bind(owner);
  owner[name] = async (...args) => {
    calls.push(name);
    if (calls.length === Number(at)) {
      // Where it would have failed, nothing is left of it.
      if (how === "half") await half?.(...args).catch(() => {});
      die();
    }
    const result = await call(...args);
    if (name === "open") watch(result, "writeFile", (text) => result.write(text.slice(0, text.length / 2)));
    return result;
  };
}
for (const name of ["mkdir", "writeFile", "appendFile", "rename", "rm", "link", "open"])
  watch(fs, name, halves[name]);
syncBuiltinESMExports();

const { folderStore } = await import(module);
const store = folderStore(folder);
const releases = new Map();
for (const [index, { step, id, value }] of JSON.parse(history).entries()) {
  if (step === "create") releases.set(id, await store.exclusively(() => store.create(id, value)));
  if (step === "lock") releases.set(id, await store.lock(id));
  if (step === "release") await releases.get(id)();
  if (step === "record") await store.writeRecord(id, value);
  if (step === "append") await store.appendHistory(id, value);
  if (step === "replace") await store.replaceHistory(id, value);
  if (step === "remove") {
    await store.remove(id);
    await releases.get(id)();
  }
  writeSync(1, `${index}\n`);
}
writeSync(1, `${calls.join(" ")}\n`);
