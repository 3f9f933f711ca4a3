import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openHostDirectory } from "../../../src/local/volumes/host-directory-node.js";
import { T } from "../../../src/local/volumes/nine-p-wire.js";
import { ServedVolumes } from "../../../src/local/volumes/served-volumes.js";
import type { VolumeNode } from "../../../src/local/volumes/volume-files.js";
import { NinePClient, Refused } from "./nine-p-client.js";

const EIO = new Refused(5);

it("a volume that does not answer is given up after its time, and nothing else is", async () => {
  const folder = mkdtempSync(join(tmpdir(), "boxrun-volume-"));
  const stuck = { kind: "directory", stat: () => new Promise(() => {}), close: () => {} };
  const both = new ServedVolumes(
    [
      { root: stuck as unknown as VolumeNode, device: 0, readonly: false },
      openHostDirectory({ hostPath: folder, readonly: false }),
    ],
    { limitMs: 20 },
  );
  const its = new NinePClient(both);
  const mount = await its.attach();
  const first = its.walk(mount, "0");
  const flushed = its.call(T.FLUSH, { u16: 2 });
  await expect(first).rejects.toEqual(EIO);
  await flushed;
  const other = await its.walk(mount, "1");
  expect((await its.stat(other)).mode & 0o170000).toBe(0o040000);
  both.close();
  rmSync(folder, { recursive: true });
});
