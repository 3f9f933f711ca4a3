import { BoxRunError } from "../errors.js";
import { deferred } from "../util/deferred.js";
import { fileAssetSource } from "./asset-source-node.js";
import { Assets } from "./assets.js";
import { Guest } from "./guest/guest.js";
import { GuestProcess } from "./guest/guest-process.js";
import { nodeHost } from "./host-node.js";
import { MachineHandle } from "./machine-handle.js";
import { readManifest } from "./manifest.js";

/** Where an image's own commands are, as the agent sees them before a box is made. */
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Boots an image cold up to the point where its agent has reported for work, runs `warmUp` in it so that what people run first is
 * in the guest's memory, and returns the bytes of the snapshot. For the build.
 */
export async function makeSnapshot(options: {
  assets: string;
  image: string;
  memoryMb: number;
  warmUp: readonly (readonly string[])[];
}): Promise<Uint8Array> {
  const source = fileAssetSource(options.assets);
  const assets = new Assets(source, await readManifest(source));
  const guest: Guest = new Guest((bytes) => machine.send(bytes));
  const machine = new MachineHandle(nodeHost, {
    onOutput: (bytes) => guest.receive(bytes),
    onStarting: () => {},
    onEnded: (error) => guest.lose(error),
  });
  machine.hold(true);
  try {
    await machine.start(
      {
        image: options.image,
        memoryMb: options.memoryMb,
        diskTemplate: "disk-8g",
        manifest: assets.manifest,
        assets: options.assets,
        forSnapshot: true,
      },
      assets.compile("v86.wasm"),
    );
    await guest.awaitHello();
    for (const cmd of options.warmUp) await runInBase(guest, cmd);
    // The agent has answered and waits for the next frame: nothing is under way in the guest.
    await guest.ping(10_000);
    return await machine.save();
  } finally {
    machine.kill();
  }
}

async function runInBase(guest: Guest, cmd: readonly string[]): Promise<void> {
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
