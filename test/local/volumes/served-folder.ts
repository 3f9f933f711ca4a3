import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { openHostDirectory } from "../../../src/local/volumes/host-directory-node.js";
import { ServedVolumes } from "../../../src/local/volumes/served-volumes.js";
import { NinePClient } from "./nine-p-client.js";

/** A folder of the host that is served to a client as two volumes, the second one read-only. */
export interface ServedFolder {
  folder: string;
  /** Folder beside it, with a file `secret`. */
  outside: string;
  client: NinePClient;
  /** Fid of the first volume's directory. */
  root: number;
}

/** Serves a new folder for the length of a test, which must leave no descriptor open. */
export async function serveFolder(): Promise<ServedFolder> {
  const descriptors = () => readdirSync("/proc/self/fd").length;
  const before = descriptors();
  const [folder, outside] = ["boxrun-volume-", "boxrun-outside-"].map((name) =>
    mkdtempSync(join(tmpdir(), name)),
  ) as [string, string];
  writeFileSync(join(outside, "secret"), "secret");
  const server = new ServedVolumes([
    openHostDirectory({ hostPath: folder, readonly: false }),
    openHostDirectory({ hostPath: folder, readonly: true }),
  ]);
  onTestFinished(() => {
    server.close();
    for (const path of [folder, outside]) rmSync(path, { recursive: true });
    expect(descriptors()).toBe(before);
  });
  const client = new NinePClient(server);
  return { folder, outside, client, root: await client.walk(await client.attach(), "0") };
}
