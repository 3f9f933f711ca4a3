/**
 * Fetches locked inputs with apt. An apt configuration of our own, in the work folder, adds what the machine's may lack (source packages, the i386
 * architecture) and leaves the machine's as it is.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { sha256 } from "./packed.mjs";
import { ask, run } from "./run.mjs";

/** @typedef {import("./lock.mjs").LockEntry} LockEntry */

/** Debian packages the build calls. */
const BUILD_PACKAGES = [
  ..."gcc gcc-multilib libc6-dev make bc bison flex libelf-dev lz4 xz-utils bzip2 patch".split(" "),
  ..."erofs-utils e2fsprogs dpkg-dev debian-archive-keyring".split(" "),
];

/**
 * Installs the build packages that are missing; not being root, says which.
 * @param {string[]} others beside those that every part needs
 */
export function installBuildPackages(others) {
  const wanted = [...BUILD_PACKAGES, ...others];
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const known = ask("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...wanted]);
  const installed = new Set(
    known
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.split(" ")[0]),
  );
  const missing = wanted.filter((name) => !installed.has(name));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0)
    throw new Error(`Missing packages. As root: apt-get install ${missing.join(" ")}`);
  run("apt-get", ["update", "-qq"]);
  run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing]);
}

/** apt with a state of its own. */
export class Apt {
  /**
   * @param {string} folder where its state and the downloads go, ending in "/"
   * @param {string[]} suites of Debian, that entries of the lock name, beside the machine's own
   */
  constructor(folder, suites) {
    this.suites = suites;
    this.downloads = `${folder}downloads/`;
    this.state = `${folder}apt/`;
    this.updated = false;
  }

  /**
   * @param {string} key of the lock: `deb:NAME` or `src:NAME`
   * @param {LockEntry} entry
   * @returns {string[]} the paths of its files, checked against the lock
   * @throws {Error} when the mirror no longer has the version, or has other bytes under its name
   */
  fetch(key, entry) {
    if (!entry.version) throw new Error(`${key} has no locked version yet; run npm run image -- --update`);
    const paths = entry.files.map(({ name }) => this.downloads + name);
    if (!paths.every(existsSync)) {
      this.update();
      const offered = this.versions(key, entry);
      if (!offered.includes(entry.version)) {
        const mirror = offered.length > 0 ? offered.join(", ") : "none";
        throw new Error(
          `${key} is locked at ${entry.version}, this mirror offers ${mirror}; run npm run image -- --update to move the lock`,
        );
      }
      this.download(key, entry, entry.version);
    }
    for (const { name, sha256: wanted } of entry.files) {
      const path = this.downloads + name;
      const found = sha256(readFileSync(path));
      if (found !== wanted) {
        rmSync(path);
        throw new Error(`${name} of ${key} ${entry.version} has the hash ${found}, the lock says ${wanted}`);
      }
    }
    return paths;
  }

  /**
   * What the lock should say when it moves to the mirror's newest version.
   * @param {string} key
   * @param {LockEntry} entry
   * @returns {LockEntry}
   */
  newest(key, entry) {
    this.update();
    const version = this.versions(key, entry)[0];
    if (!version) throw new Error(`This mirror has no ${key}`);
    const { architecture, suite } = entry;
    if (version === entry.version) return entry;
    const names = this.download(key, entry, version);
    const files = names.map((name) => ({ name, sha256: sha256(readFileSync(this.downloads + name)) }));
    return { ...(architecture && { architecture }), ...(suite && { suite }), version, files };
  }

  /** Asks the mirror for its lists, once. */
  update() {
    if (this.updated) return;
    this.updated = true;
    for (const folder of ["lists/partial", "cache/archives/partial"])
      mkdirSync(this.state + folder, { recursive: true });
    mkdirSync(this.downloads, { recursive: true });
    writeFileSync(`${this.state}sources.list`, debianSources(this.suites));
    writeFileSync(`${this.state}apt.conf`, configuration(this.state));
    // An error when one of the lists is not to be had, which may not matter; what is really missing is found by name later
    this.apt("apt-get", "update", "-qq");
  }

  /**
   * @param {string} key
   * @param {LockEntry} entry
   * @returns {string[]} the versions the mirror has, newest first
   */
  versions(key, entry) {
    const [kind, name] = key.split(":");
    const lines = this.apt("apt-cache", "madison", aptName(name, entry))
      .split("\n")
      .map((line) => line.split("|").map((part) => part.trim()));
    const wanted = kind === "src" ? /Sources$/ : /Packages$/;
    const inSuite = (/** @type {string} */ where) => {
      const suite = this.suites.find((name) => where.includes(` ${name}/`));
      return suite === entry.suite && wanted.test(where);
    };
    const versions = lines.filter(([, , where]) => where && inSuite(where)).map(([, version]) => version);
    return [...new Set(versions)].sort((a, b) => compareVersions(b, a));
  }

  /**
   * @param {string} key
   * @param {LockEntry} entry
   * @param {string} version
   * @returns {string[]} the names of the files, in this.downloads
   */
  download(key, entry, version) {
    const [kind, name] = key.split(":");
    if (kind === "src") {
      const listed = this.apt("apt-get", "source", "--only-source", "--print-uris", `${name}=${version}`);
      run(
        "apt-get",
        ["-qq", "source", "--only-source", "--download-only", `${name}=${version}`],
        this.options(),
      );
      return [...listed.matchAll(/^'\S+' (\S+) \d+/gm)].map((match) => match[1]).sort();
    }
    run("apt-get", ["-qq", "download", `${aptName(name, entry)}=${version}`], this.options());
    const file = `${name}_${version.replaceAll(":", "%3a")}_${entry.architecture}.deb`;
    if (!existsSync(this.downloads + file)) {
      throw new Error(
        `apt-get download of ${key} gave no ${file} but ${readdirSync(this.downloads).join(", ")}`,
      );
    }
    return [file];
  }

  /** @param {string[]} command */
  apt(...command) {
    const [program, ...args] = command;
    return ask("env", [`APT_CONFIG=${this.state}apt.conf`, program, ...args]);
  }

  options() {
    return { cwd: this.downloads, env: { APT_CONFIG: `${this.state}apt.conf` } };
  }
}

/**
 * @param {string} name
 * @param {LockEntry} entry
 */
function aptName(name, { architecture }) {
  return architecture && architecture !== "all" ? `${name}:${architecture}` : name;
}

/**
 * @param {string} a
 * @param {string} b
 */
function compareVersions(a, b) {
  if (a === b) return 0;
  return ask("sh", ["-c", `dpkg --compare-versions "$0" gt "$1" && echo newer`, a, b]).trim() ? 1 : -1;
}

/**
 * The machine's own Debian mirrors, with their source packages, and other suites of these. Not the security suites: they drop a version when the next one comes, and a lock
 * on it would last weeks; what is built here runs inside the emulator only.
 * @param {string[]} suites
 */
function debianSources(suites) {
  const format = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)";
  const targets = ask("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]);
  const found = new Set(targets.split("\n").filter((line) => /^Debian\|(?!.*-security\|)/.test(line)));
  if (found.size === 0)
    throw new Error("apt knows no Debian mirror here (or its lists were never fetched: apt-get update)");
  const own = [...found].map((line) => line.split("|").slice(1));
  const others = own.flatMap(([uri]) => suites.map((suite) => [uri, suite, "main"]));
  const places = new Set([...own, ...others].map((place) => place.join(" ")));
  const lines = [...places].flatMap((place) =>
    ["deb", "deb-src"].map(
      (type) => `${type} [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${place}`,
    ),
  );
  return `${lines.join("\n")}\n`;
}

/** @param {string} state */
function configuration(state) {
  return `Dir::State::Lists "${state}lists";
Dir::Cache "${state}cache";
Dir::Etc::SourceList "${state}sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Architectures { "${ask("dpkg", ["--print-architecture"]).trim()}"; "i386"; };
APT::Default-Release "";
Acquire::Check-Valid-Until "false";
APT::Sandbox::User "root";
`;
}
