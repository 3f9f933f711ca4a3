import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { nodeAssetSource } from "../../src/local/assets/asset-source-node.js";
import { Assets } from "../../src/local/assets/assets.js";
import { readManifest } from "../../src/local/assets/manifest.js";
import { GuestProcess } from "../../src/local/guest/guest-process.js";
import { GuestMachine } from "../../src/local/host/guest-machine.js";
import type { Host } from "../../src/local/host/host.js";
import { nodeHost } from "../../src/local/host/host-node.js";
import { BOX_DISK_BYTES } from "../../src/local/machine/disk.js";
import type { FromMachine } from "../../src/local/machine/messages.js";
import { ROOT } from "../root.js";

const DIST = pathToFileURL(`${ROOT}/dist/`);

/** Thread of a machine: its script, and what the script is told. */
interface MachineThread {
  script: URL;
  workerData?: unknown;
}

/** The machine's thread as it was built, unless another is named; this side is the sources. */
const hostOf = ({ script, workerData }: MachineThread): Host => ({
  ...nodeHost,
  startWorker: (onMessage, onFailure) => {
    const worker = new Worker(script, { execArgv: [], workerData });
    worker.on("message", (message: FromMachine) => onMessage(message));
    worker.on("error", onFailure);
    return {
      post: (message, transfer) => worker.postMessage(message, transfer),
      terminate: async () => void (await worker.terminate()),
      hold: () => {},
    };
  },
});

/** A machine and its guest, below everything that a box has. */
export interface RunningGuest extends AsyncDisposable {
  machine: GuestMachine;
  /** Runs shell text, and resolves to what it printed, both streams together, and then to its exit code. Rejects when it cannot be started. */
  shell(text: string, workdir?: string): Promise<string>;
}

/** A directory of the host, and where the guest sees it. */
export interface TestVolume {
  hostPath: string;
  path: string;
  readonly: boolean;
}

/** A guest that has been set up as a new box of `tiny` is. */
export async function startGuest(
  volumes: readonly TestVolume[] = [],
  thread: MachineThread = { script: new URL("node/machine-worker.js", DIST) },
): Promise<RunningGuest> {
  const location = new URL("assets/", DIST).href;
  const source = nodeAssetSource(location, "");
  const assets = new Assets(source, await readManifest(source));
  const machine = new GuestMachine(hostOf(thread));
  const { guest, handle } = machine;
  void handle.giveDisk({ location: null, durability: "relaxed" });
  const config = {
    image: "tiny",
    memoryMb: 256,
    disk: "disk-8g",
    diskBytes: BOX_DISK_BYTES,
    manifest: assets.manifest,
    assets: location,
  };
  await handle.start(config, assets.compile("v86.wasm"));
  await handle.openVolumes(volumes);
  await guest.setup({
    hostname: "box",
    entropy: new Uint8Array(32),
    diskBytes: 0,
    memoryLimitBytes: 0,
    processLimit: 0,
    workdir: "/root",
    volumes,
  });
  return {
    machine,
    shell: (text, workdir) => runShell(machine, text, workdir),
    [Symbol.asyncDispose]: () => handle.kill(),
  };
}

function runShell({ guest }: GuestMachine, text: string, workdir = "/root"): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = "";
    const process: GuestProcess = new GuestProcess(
      guest,
      { argv: ["sh", "-c", text], env: ["PATH=/usr/sbin:/usr/bin"], workdir, stdin: false },
      {
        output: (_stream, bytes) => {
          printed += Buffer.from(bytes);
          process.release(bytes.byteLength);
        },
        exit: (_how, value) => resolve(`${printed}${value}`),
        failed: ({ detail, errno }) => reject(new Error(`${detail}: ${errno}`)),
        lost: reject,
      },
    );
  });
}
