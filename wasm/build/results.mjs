import { fileURLToPath } from "node:url";

/** The folder wasm/, ending in "/". */
export const WASM = fileURLToPath(new URL("..", import.meta.url));
export const PREBUILT = `${WASM}prebuilt/`;

/**
 * What the build makes.
 * @typedef {object} Result
 * @property {string} group the name that `npm run image -- GROUP` builds it by
 * @property {string[]} lock the locked inputs it is made of
 * @property {string[]} files the files and folders (ending in "/") below wasm/ that decide its bytes
 * @property {string[]} [except] files and folders in these folders that do not
 * @property {string} licence SPDX
 * @property {string[]} sources the locked inputs whose code is in it: what its licence is about
 * @property {string} [argument] what the step is told beside all that
 */

const CONFIG_TOOLS = ["build/merge-config.sh", "build/check-config.sh"];
/** What all static programs are built against: see sysroot.sh. */
export const SYSROOT = {
  lock: ["deb:musl-dev", "src:musl", "deb:linux-source-6.1"],
  files: ["build/sysroot.sh", "build/arithmetic.sh", "libm/musl.patch", "libm/objects.sh"],
};

/** By name; the file of a result is wasm/prebuilt/NAME.br. @type {Record<string, Result>} */
export const RESULTS = {
  kernel: {
    group: "kernel",
    lock: ["deb:linux-source-6.1"],
    files: ["kernel/", ...CONFIG_TOOLS],
    licence: "GPL-2.0-only WITH Linux-syscall-note",
    sources: ["deb:linux-source-6.1"],
  },
  agent: {
    group: "agent",
    lock: SYSROOT.lock,
    files: ["agent/", ...SYSROOT.files],
    licence: "Apache-2.0 AND MIT AND (GPL-3.0-or-later WITH GCC-exception-3.1)",
    sources: ["src:musl"],
  },
  "tiny.erofs": {
    group: "tiny",
    lock: ["src:busybox", "deb:qjs-src", "src:quickjs", ...SYSROOT.lock],
    files: [
      "images/tiny/",
      "qjs/",
      "build/check-x87.sh",
      "build/erofs.sh",
      ...CONFIG_TOOLS,
      ...SYSROOT.files,
    ],
    except: ["image.json", "package.json", "README.md", "index.js", "index.d.ts", "assets/"].map(
      (path) => `images/tiny/${path}`,
    ),
    licence: "GPL-2.0-only AND MIT AND (GPL-3.0-or-later WITH GCC-exception-3.1)",
    sources: ["src:busybox", "deb:qjs-src", "src:quickjs", "src:musl"],
  },
  "disk-8g": {
    group: "disk",
    lock: [],
    files: ["images/disk/", "build/sparse.mjs"],
    licence: "Apache-2.0",
    sources: [],
    argument: "8G",
  },
  "disk-1g": {
    group: "disk",
    lock: [],
    files: ["images/disk/", "build/sparse.mjs"],
    licence: "Apache-2.0",
    sources: [],
    argument: "1G",
  },
  bios: {
    group: "bios",
    lock: ["deb:seabios"],
    files: [],
    licence: "LGPL-3.0-only",
    sources: ["src:seabios"],
    argument: "usr/share/seabios/bios.bin",
  },
  vgabios: {
    group: "bios",
    lock: ["deb:seabios"],
    files: [],
    licence: "LGPL-3.0-only",
    sources: ["src:seabios"],
    argument: "usr/share/seabios/vgabios-stdvga.bin",
  },
};
