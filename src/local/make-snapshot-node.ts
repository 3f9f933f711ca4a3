import { BoxRunError } from "../errors.js";
import { deferred } from "../util/deferred.js";
import { nodeAssetSource } from "./asset-source-node.js";
import { Assets } from "./assets.js";
import { Guest } from "./guest/guest.js";
import { GuestProcess } from "./guest/guest-process.js";
import { nodeHost } from "./host-node.js";
import { BOX_DISK_BYTES } from "./machine/disks.js";
import { MachineHandle } from "./machine-handle.js";
import { readManifest } from "./manifest.js";

const PING_DEADLINE_MS = 10_000;
/** Where an image's own commands are, as the agent sees them before a box is made. */
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Boots an image cold and returns the bytes of two snapshots: one for a box with any disk, and one for a new box. Commands of `warmUp`
 * are run before, so that what people run first is in the guest's memory. For the build.
 */
export async function makeSnapshots(options: {
  assets: string;
  image: string;
  memoryMb: number;
  /** The name of the new box's disk template. */
  disk: string;
  warmUp: readonly (readonly string[])[];
}): Promise<{ any: Uint8Array; new: Uint8Array }> {
  const source = nodeAssetSource(options.assets, "");
  const assets = new Assets(source, await readManifest(source));
  const guest: Guest = new Guest((bytes) => machine.send(bytes));
  const machine = new MachineHandle(nodeHost, {
    onOutput: (bytes) => guest.receive(bytes),
    onLoaded: () => {},
    onStarting: () => {},
    onEnded: (error) => guest.lose(error),
  });
  machine.hold(true);
  machine.giveDisk({ location: null, durability: "relaxed" });
  try {
    await machine.start(
      {
        image: options.image,
        memoryMb: options.memoryMb,
        disk: options.disk,
        diskBytes: BOX_DISK_BYTES,
        manifest: assets.manifest,
        assets: options.assets,
        forSnapshot: true,
      },
      assets.compile("v86.wasm"),
    );
    await guest.awaitHello();
    await warmUp(guest, options.warmUp);
    const any = await machine.save({ withDisk: false });
    await guest.prepare();
    await warmUp(guest, options.warmUp);
    return { any, new: await machine.save({ withDisk: true }) };
  } finally {
    await machine.kill();
  }
}

async function warmUp(guest: Guest, commands: readonly (readonly string[])[]): Promise<void> {
  for (const cmd of commands) await run(guest, cmd);
  // The agent has answered and waits for the next frame: nothing is under way in the guest.
  await guest.ping(PING_DEADLINE_MS);
}

async function run(guest: Guest, cmd: readonly string[]): Promise<void> {
  const done = deferred<void>();
  const failed = (what: string) =>
    done.reject(new BoxRunError("RUNTIME_ERROR", `warming up with ${JSON.stringify(cmd)} failed: ${what}`));
  new GuestProcess(
    guest,
    { argv: cmd, env: [PATH], workdir: "/", stdin: false },
    {
      output: () => {},
      exit: (how, value) => (how === "exited" && value === 0 ? done.resolve() : failed(`${how} ${value}`)),
      failed: (failure) => failed(`${failure.detail} (error ${failure.errno})`),
      lost: (error) => done.reject(error),
    },
  );
  await done.promise;
}
