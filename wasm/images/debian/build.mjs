/**
 * Builds the image `debian`: `npm run image -- debian`. Beside the others because its result is large, and kept whole in one file of its own.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readLock } from "../../build/lock.mjs";
import { packOnce, recordOf, sha256, unpack } from "../../build/packed.mjs";
import { run } from "../../build/run.mjs";
import { buildOwnPackages, fingerprintOwn } from "./own.mjs";
import { fetchPackages, nameOf, readPackages, updatePackages } from "./packages.mjs";

const FOLDER = new URL(".", import.meta.url).pathname;
const RESULT = `${FOLDER}debian.erofs.br`;
const RECORD = `${FOLDER}record.json`;
/** Everything here that decides the image's bytes, beside the files in root/; of image.json only the names of the packages do. */
const INPUTS = [
  ...["build.sh", "dpkg.cfg", "imprecise.txt", "packages.lock.json"],
  ...["erofs.sh", "in-tree.sh"].map((name) => `../../build/${name}`),
];
/** Every version stays in git's history. */
const LIMIT_BYTES = 48 * 2 ** 20;

/** Debian packages that this build calls, beside those of the others. */
export const BUILD_PACKAGES = "mmdebstrap arch-test curl gpgv xz-utils".split(" ");

/**
 * @param {import("../../build/steps.mjs").Context} context
 * @param {{ update: boolean }} options
 */
export function buildDebian(context, { update }) {
  if (update) updatePackages(context.work);
  const inputs = fingerprint();
  const { out, packages } = assembleDebian(context);
  const raw = readFileSync(out);
  console.log(`debian: ${raw.length} bytes; if they are new, packing them takes up to 15 minutes`);
  const packed = packOnce(RESULT, raw);
  if (packed.length > LIMIT_BYTES) throw new Error(`${RESULT} has ${packed.length} bytes`);
  const record = { ...recordOf(packed, raw), inputs, packages };
  writeFileSync(RECORD, `${JSON.stringify(record, null, 2)}\n`);
  console.log(`debian: ${packed.length} bytes packed`);
}

/**
 * @param {import("../../build/steps.mjs").Context} context
 * @returns {{ out: string, packages: number }} the path of the disk, and how many packages are in it
 */
export function assembleDebian(context) {
  const { work, lock } = context;
  const own = buildOwnPackages(context);
  const ours = new Set(own.installed.map(nameOf));
  const debians = fetchPackages(`${work}downloads/`, readPackages()).filter(
    (path) => !ours.has(nameOf(path)),
  );
  const packages = linkAlone([...debians, ...own.installed], `${work}debian-packages/`);
  const offered = linkAlone(own.offered, `${work}debian-offered/`);
  const out = `${work}debian.erofs`;
  const { packages: named } = JSON.parse(readFileSync(`${FOLDER}image.json`, "utf8"));
  run(`${FOLDER}build.sh`, [packages, offered, out], {
    env: { INCLUDE: [...named, ...ours].join(","), SOURCE_DATE_EPOCH: String(lock.sourceDateEpoch) },
  });
  return { out, packages: debians.length + own.installed.length };
}

/**
 * Only what is locked goes in, whatever earlier locks have left among the downloads.
 * @param {string[]} files
 * @param {string} folder
 * @returns {string} the folder, with these files alone
 */
function linkAlone(files, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const file of new Set(files)) run("ln", [file, folder]);
  return folder;
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
  const lock = readLock();
  return sha256(
    [`epoch ${lock.sourceDateEpoch}`, packages.join(","), fingerprintOwn(lock), ...lines].join("\n"),
  );
}
