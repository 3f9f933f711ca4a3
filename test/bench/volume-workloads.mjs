/** Files of a volume beside those of the box's own disk, in Node. */
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";

async function volumes() {
  const hostPath = mkdtempSync(join(tmpdir(), "boxrun-bench-"));
  const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  try {
    const box = await client.create("debian", { volumes: [{ hostPath, guestPath: "/work" }] });
    await box.upload(await readFile(new URL("volumes.py", import.meta.url)), "/opt/volumes.py");
    const figures = {};
    for (const [name, directory] of [
      ["volume", "/work"],
      ["disk", "/root"],
    ]) {
      const { stdout } = await box.exec(["python3", "/opt/volumes.py", directory], { check: true });
      for (const [key, value] of Object.entries(JSON.parse(stdout))) figures[`${name}.${key}`] = value;
    }
    return figures;
  } finally {
    await client.close();
    rmSync(hostPath, { recursive: true });
  }
}

export const volumeWorkloads = { volumes };
