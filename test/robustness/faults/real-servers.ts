import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalBackend } from "boxrun/local";
import { serve } from "../../../src/server/node/serve.js";
import { startServe } from "../../testing/contract/serve.js";
import { shareReal, type Target } from "./servers.js";

/** Servers of real boxes: `boxrun serve` as a process of its own, and one of the published API alone in this process. */
export async function startReal(): Promise<{ targets: Target[]; close(): Promise<void> }> {
  const served = await startServe();
  const state = mkdtempSync(join(tmpdir(), "boxrun-faults-"));
  const backend = createLocalBackend({ state });
  const plain = await serve(backend, { port: 0, extensions: false, maxUploadBytes: 2_000_000 });
  const targets = [
    await shareReal("boxes", served.baseUrl, { extensions: true }),
    await shareReal("boxes, plain", plain.addresses[0] as string, { extensions: false }),
  ];
  return {
    targets,
    close: async () => {
      for (const target of targets) await target.close();
      await plain.close();
      await backend.close();
      await served.stop();
      rmSync(state, { recursive: true });
    },
  };
}
