/** Files of volumes, on the host and in memory, beside those of the box's own disk, in Node. */
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { memoryVolume } from "boxrun/local";

const TREE_FILES = 10_000;
const PLACES = { volume: "/work", memory: "/memory", disk: "/srv" };

/** Reads and writes, a walk of 1,020 entries, and small files. */
async function volumes() {
  const figures = await inEachPlace(new URL("volumes.py", import.meta.url));
  return named(figures, (one) => one);
}

/** Usual tools on a tree of 10,000 files. */
async function volumeTrees() {
  const program = new URL("../local/volumes/guest/tree.py", import.meta.url);
  const figures = await inEachPlace(program, String(TREE_FILES));
  return named(figures, ({ times }) =>
    Object.fromEntries(Object.entries(times).map(([name, ms]) => [`tree_${name}_ms`, ms])),
  );
}

/** Runs a program in a directory of each place, one after the other, in one box. What it prints is JSON. */
async function inEachPlace(program, ...args) {
  const hostPath = mkdtempSync(join(tmpdir(), "boxrun-bench-"));
  const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  try {
    const volumes = [
      { hostPath, guestPath: PLACES.volume },
      { source: memoryVolume(), guestPath: PLACES.memory },
    ];
    const box = await client.create("debian", { volumes });
    await box.upload(await readFile(program), "/opt/program.py");
    const printed = {};
    for (const [place, directory] of Object.entries(PLACES)) {
      const { stdout } = await box.exec(["python3", "/opt/program.py", directory, ...args], { check: true });
      printed[place] = JSON.parse(stdout);
    }
    return printed;
  } finally {
    await client.close();
    rmSync(hostPath, { recursive: true });
  }
}

function named(printed, figuresOf) {
  const entries = Object.entries(printed).flatMap(([place, one]) =>
    Object.entries(figuresOf(one)).map(([key, value]) => [`${place}.${key}`, value]),
  );
  return Object.fromEntries(entries);
}

export const volumeWorkloads = { volumes, volumeTrees };
