/**
 * Collects the complete corresponding source of everything in wasm/prebuilt/: the locked source packages and our own files.
 *
 *     node wasm/build/sources.mjs [DIR]        DIR: .cache/sources
 */
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { ownSources } from "../images/debian/own.mjs";
import { Apt } from "./apt.mjs";
import { readRecords } from "./fingerprint.mjs";
import { readLock, suitesOf } from "./lock.mjs";
import { RESULTS, WASM } from "./results.mjs";

const out = process.argv[2] ?? `${WASM}../.cache/sources`;
const work = process.env.BOXRUN_IMAGE_WORK ?? `${WASM}../.cache/image/`;

const lock = readLock();
const { inputs } = lock;
const apt = new Apt(work, suitesOf(lock));
const lines = ["What the files of BoxRun's guest side are built from.", ""];
for (const [name, { licence, sources }] of Object.entries(readRecords().results)) {
  lines.push(`${name}: ${licence}${sources.length > 0 ? `; ${sources.join(", ")}` : ""}`);
}
lines.push("", "Packages (Debian's; each source package holds Debian's patches):");

mkdirSync(`${out}/packages`, { recursive: true });
const keys = [...Object.values(RESULTS).flatMap(({ sources }) => sources), ...ownSources()];
for (const key of new Set(keys)) {
  const entry = inputs[key];
  lines.push(`${key.split(":")[1]} ${entry.version}`);
  for (const path of apt.fetch(key, entry)) {
    copyFileSync(path, `${out}/packages/${basename(path)}`);
    lines.push(`  packages/${basename(path)}`);
  }
}

// Configurations, scripts and the agent: all that is needed to build again, in the folder names the build expects
for (const path of ["agent", "build", "images", "kernel", "libm", "qjs", "inputs.lock.json", "README.md"]) {
  cpSync(WASM + path, `${out}/wasm/${path}`, { recursive: true });
}
lines.push("", "Our own: wasm/. To build: node wasm/build/image.mjs; see wasm/README.md.");
writeFileSync(`${out}/SOURCES.txt`, `${lines.join("\n")}\n`);
console.log(`sources are in ${out}`);
