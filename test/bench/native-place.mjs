import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { readImage } from "../../wasm/build/unpack.mjs";
import { measureLanguage } from "./languages.mjs";

/** The same binaries without an emulator: an image's files, unpacked by erofs-utils, and run by chroot, which takes root on a machine that runs i386 programs. Undefined where that cannot be done. */
export function openNative(images) {
  if (process.getuid?.() !== 0) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "boxrun-native-"));
  const close = async () => rmSync(folder, { recursive: true });
  for (const image of images) {
    const disk = join(folder, `${image}.erofs`);
    writeFileSync(disk, readImage(image));
    const tree = join(folder, image);
    const unpacked = spawnSync("fsck.erofs", [`--extract=${tree}`, disk], { stdio: "ignore" });
    rmSync(disk);
    if (unpacked.status !== 0 || spawnSync("chroot", [tree, "/bin/sh", "-c", ":"]).status !== 0) {
      rmSync(folder, { recursive: true });
      return undefined;
    }
    mkdirSync(join(tree, "root"), { recursive: true });
  }
  return {
    measure: (_name, key) => {
      const tree = join(folder, key.slice(0, key.indexOf(".")));
      const write = async (path, contents) => writeFileSync(join(tree, path), contents);
      return measureLanguage(key, (argv) => run(tree, argv), write);
    },
    close,
  };
}

async function run(tree, argv) {
  const env = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" };
  const child = spawn("chroot", [tree, ...argv], { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { exitCode, stdout, stderr };
}
