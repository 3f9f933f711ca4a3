/** Unpacks a program of Debian in a box, from the archive at a URL: see test/runtimes/debian-programs.ts. */
export async function installProgram(box, url) {
  const archive = new Uint8Array(await (await fetch(url)).arrayBuffer());
  await box.files.write("/tmp/program.tar", archive);
  await box.exec("tar -C / -xf /tmp/program.tar && rm /tmp/program.tar", { check: true });
}
