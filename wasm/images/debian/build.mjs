/**
 * Builds the image `debian`: `npm run image -- debian`. Beside the others because its result is large, and kept whole in one file of its own.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { decompress } from "fzstd";
import { sha256 } from "../../build/fingerprint.mjs";
import { readLock } from "../../build/lock.mjs";
import { run } from "../../build/run.mjs";
import { fetchPackages, readPackages, updatePackages } from "./packages.mjs";

const FOLDER = new URL(".", import.meta.url).pathname;
const RESULT = `${FOLDER}debian.erofs.zst`;
const RECORD = `${FOLDER}record.json`;
/** Everything here that decides the image's bytes; what image.json says of them is not among it, but for the names of the packages. */
const INPUTS = ["build.sh", "dpkg.cfg", "packages.lock.json", "../../build/erofs.sh"];
const INPUT_FOLDER = ["bashrc", "hostname", "hosts", "resolv.conf", "sources.list"];
/** What the mirror's packages are made from, for who wants to rebuild them: each names its own. */
const LIMIT_BYTES = 48 * 2 ** 20;

/** Debian packages that this build calls, beside those of the others. */
export const BUILD_PACKAGES = "mmdebstrap arch-test zstd curl xz-utils".split(" ");

/**
 * @param {string} work a folder that is ours, ending in "/"
 * @param {{ update: boolean }} options
 */
export function buildDebian(work, { update }) {
  if (update) updatePackages(work);
  const inputs = fingerprint();
  const packages = `${work}debian-packages/`;
  const wanted = new Set(fetchPackages(`${work}downloads/`));
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
  if (existsSync(RESULT) && sha256(decompress(readFileSync(RESULT))) === sha256(raw)) {
    console.log("debian: the same bytes as before");
  } else {
    run("zstd", ["-q", "--ultra", "-22", "--long=27", "-T1", "-f", out, "-o", RESULT]);
  }
  const packed = readFileSync(RESULT);
  if (packed.length > LIMIT_BYTES) throw new Error(`${RESULT} has ${packed.length} bytes`);
  const record = {
    size: packed.length,
    sha256: sha256(packed),
    rawSize: raw.length,
    rawSha256: sha256(raw),
    inputs,
    packages: readPackages().length,
  };
  writeFileSync(RECORD, `${JSON.stringify(record, null, 2)}\n`);
  console.log(`debian: ${raw.length} bytes, ${packed.length} packed`);
}

/** @returns {"ok" | "stale" | "damaged"} whether the file here is what the inputs here give */
export function checkDebian() {
  const record = JSON.parse(readFileSync(RECORD, "utf8"));
  if (record.inputs !== fingerprint()) return "stale";
  const packed = readFileSync(RESULT);
  return sha256(packed) === record.sha256 ? "ok" : "damaged";
}

function fingerprint() {
  const { packages } = JSON.parse(readFileSync(`${FOLDER}image.json`, "utf8"));
  const paths = [...INPUTS, ...INPUT_FOLDER.map((name) => `etc/${name}`)];
  const lines = paths.map((path) => `${path} ${sha256(readFileSync(FOLDER + path))}`);
  return sha256([`epoch ${readLock().sourceDateEpoch}`, packages.join(","), ...lines].join("\n"));
}
