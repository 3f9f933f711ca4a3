/**
 * Does to a store of boxes what a history says, and kills itself at a certain call of the file system: `node store-victim.mjs STORE FOLDER HISTORY AT HOW`. STORE is a module with `folderStore`, HISTORY a
 * list in JSON of steps as store-crash.node.test.ts makes them; AT counts the calls that change something, from 1 on. HOW: "before" the call; "half", which leaves half of what it was to write or remove; "power", which
 * is before the call, and records lose what was never flushed: their contents, their names, and those of the folders that they are in.
 * Prints the number of each step that is done, and at the end the names of all calls.
 */
import files, { existsSync, readFileSync, renameSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { dirname, join } from "node:path";

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

/** Paths of what is open; of records whose contents a power cut would take; and what undoes the renames that one would, by the folder. */
const paths = new Map();
const unflushed = new Set();
let renames = [];
const isRecord = (path) => path.includes("box.json");

/** What the cache of the file system had alone. */
function cutPower() {
  for (const path of unflushed) if (existsSync(path)) truncateSync(path);
  for (const { undo } of renames.reverse()) undo();
}

function noteRename(from, to) {
  // That a removed box comes back loses nobody anything.
  if (!(isRecord(to) || from.includes(".new-"))) return;
  const before = isRecord(to) ? readFileSync(to) : undefined;
  for (const path of [...unflushed]) {
    if (path !== from && !path.startsWith(`${from}/`)) continue;
    unflushed.delete(path);
    unflushed.add(to + path.slice(from.length));
  }
  const undo = () => {
    if (!existsSync(to)) return;
    if (before === undefined) renameSync(to, from);
    else writeFileSync(to, before);
  };
  renames.push({ folder: dirname(to), undo });
}

for (const name of ["fsync", "fdatasync"]) {
  const call = files[name];
  files[name] = (file, done) =>
    call(file, (error) => {
      unflushed.delete(paths.get(file));
      renames = renames.filter(({ folder }) => folder !== paths.get(file));
      done(error);
    });
}

function watch(owner, name, half) {
  const call = owner[name].bind(owner);
  owner[name] = async (...args) => {
    calls.push(name);
    if (calls.length === Number(at)) {
      // Where it would have failed, nothing is left of it.
      if (how === "half") await half?.(...args).catch(() => {});
      if (how === "power") cutPower();
      die();
    }
    if (name === "rename") noteRename(...args);
    if (name === "writeFile" && owner === fs && isRecord(args[0])) unflushed.add(args[0]);
    const result = await call(...args);
    if (name === "open") {
      paths.set(result.fd, args[0]);
      if (args[1] !== "r" && isRecord(args[0])) unflushed.add(args[0]);
      watch(result, "writeFile", (text) => result.write(text.slice(0, text.length / 2)));
    }
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
