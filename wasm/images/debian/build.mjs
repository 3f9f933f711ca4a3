/**
 * Builds the image `debian`: `npm run image -- debian`. Beside the others because its result is large, and kept whole in one file of its own.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readLock } from "../../build/lock.mjs";
import { packOnce, recordOf, sha256, unpack } from "../../build/packed.mjs";
import { run } from "../../build/run.mjs";
import { fetchPackages, readPackages, updatePackages } from "./packages.mjs";

const FOLDER = new URL(".", import.meta.url).pathname;
const RESULT = `${FOLDER}debian.erofs.br`;
const RECORD = `${FOLDER}record.json`;
/** Everything here that decides the image's bytes, beside the files in root/; of image.json only the names of the packages do. */
const INPUTS = ["build.sh", "dpkg.cfg", "packages.lock.json", "../../build/erofs.sh"];
/** Every version stays in git's history. */
const LIMIT_BYTES = 48 * 2 ** 20;

/** Debian packages that this build calls, beside those of the others. */
export const BUILD_PACKAGES = "mmdebstrap arch-test curl gpgv xz-utils".split(" ");

/**
 * @param {string} work a folder that is ours, ending in "/"
 * @param {{ update: boolean }} options
 */
export function buildDebian(work, { update }) {
  if (update) updatePackages(work);
  const inputs = fingerprint();
  const packages = `${work}debian-packages/`;
  const wanted = new Set(fetchPackages(`${work}downloads/`, readPackages()));
  // Only what is locked goes in, whatever earlier locks have left among the downloads.
  rmSync(packages, { recursive: true, force: true });
  mkdirSync(packages, { recursive: true });
  for (const file of wanted) run("ln", [file, packages]);
  const out = `${work}debian.erofs`;
  const { packages: names } = JSON.parse(readFileSync(`${FOLDER}image.json`, "utf8"));
  run(`${FOLDER}build.sh`, [packages, out], {
    env: { INCLUDE: names.join(","), SOURCE_DATE_EPOCH: String(readLock().sourceDateEpoch) },
  });
  const raw = readFileSync(out);
  console.log(`debian: ${raw.length} bytes; if they are new, packing them takes up to 15 minutes`);
  const packed = packOnce(RESULT, raw);
  if (packed.length > LIMIT_BYTES) throw new Error(`${RESULT} has ${packed.length} bytes`);
  const record = { ...recordOf(packed, raw), inputs, packages: readPackages().length };
  writeFileSync(RECORD, `${JSON.stringify(record, null, 2)}\n`);
  console.log(`debian: ${packed.length} bytes packed`);
}

/** @returns {"ok" | "stale" | "damaged"} whether the file here is what the inputs here give */
export function checkDebian() {
  const record = JSON.parse(readFileSync(RECORD, "utf8"));
  if (record.inputs !== fingerprint()) return "stale";
  if (sha256(readFileSync(RESULT)) !== record.sha256) return "damaged";
  try {
    unpack(RESULT, record);
    return "ok";
  } catch {
    return "damaged";
  }
}

function fingerprint() {
  const { packages } = JSON.parse(readFileSync(`${FOLDER}image.json`, "utf8"));
  const own = readdirSync(`${FOLDER}root`, { recursive: true, withFileTypes: true });
  const files = own.filter((entry) => entry.isFile()).map(({ parentPath, name }) => `${parentPath}/${name}`);
  const paths = [...INPUTS, ...files.map((path) => path.slice(FOLDER.length)).sort()];
  const lines = paths.map((path) => `${path} ${sha256(readFileSync(FOLDER + path))}`);
  return sha256([`epoch ${readLock().sourceDateEpoch}`, packages.join(","), ...lines].join("\n"));
}
