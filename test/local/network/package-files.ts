import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Makes a wheel of a module "greet" that prints "hello from a wheel". */
export async function makeWheel(folder: string): Promise<{ name: string; bytes: Buffer }> {
  const source = join(folder, "wheel");
  const info = join(source, "greet-1.0.dist-info");
  mkdirSync(info, { recursive: true });
  writeFileSync(join(source, "greet.py"), "print('hello from a wheel')\n");
  writeFileSync(join(info, "METADATA"), "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n");
  writeFileSync(
    join(info, "WHEEL"),
    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
  );
  writeFileSync(
    join(info, "RECORD"),
    "greet.py,,\ngreet-1.0.dist-info/METADATA,,\ngreet-1.0.dist-info/WHEEL,,\ngreet-1.0.dist-info/RECORD,,\n",
  );
  const name = "greet-1.0-py3-none-any.whl";
  const pack = ["-m", "zipfile", "-c", join(folder, name), "greet.py", "greet-1.0.dist-info"];
  await run("python3", pack, { cwd: source });
  return { name, bytes: readFileSync(join(folder, name)) };
}

/** Makes the files of a flat mirror of apt, by their paths, with a package "hello-boxrun" whose program prints "hello from a package". */
export async function makeMirror(folder: string): Promise<Record<string, Uint8Array | string>> {
  const tree = join(folder, "hello-boxrun");
  mkdirSync(join(tree, "DEBIAN"), { recursive: true });
  mkdirSync(join(tree, "usr/bin"), { recursive: true });
  const control =
    "Package: hello-boxrun\nVersion: 1.0\nArchitecture: all\nMaintainer: Test <test@example.com>\nDescription: a test\n";
  writeFileSync(join(tree, "DEBIAN/control"), control);
  writeFileSync(join(tree, "usr/bin/hello-boxrun"), "#!/bin/sh\necho hello from a package\n", {
    mode: 0o755,
  });
  const file = join(folder, "hello.deb");
  await run("dpkg-deb", ["--root-owner-group", "-Zgzip", "--build", tree, file]);
  const deb = readFileSync(file);
  const packages = `${control}Filename: ./hello.deb\nSize: ${deb.byteLength}\nSHA256: ${sha256(deb)}\n`;
  const release = `Suite: test\nSHA256:\n ${sha256(Buffer.from(packages))} ${packages.length} Packages\n`;
  return { "/hello.deb": deb, "/Packages": packages, "/Release": release };
}
