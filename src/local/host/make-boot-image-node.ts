import { nodeAssetSource } from "../assets/asset-source-node.js";
import { Assets } from "../assets/assets.js";
import { readManifest } from "../assets/manifest.js";
import type { Guest } from "../guest/guest.js";
import { runCommand } from "../guest/run-command.js";
import { joinBootImages } from "../machine/boot-image.js";
import { BOX_DISK_BYTES } from "../machine/disk.js";
import { GuestMachine } from "./guest-machine.js";
import { nodeHost } from "./host-node.js";

const PING_DEADLINE_MS = 10_000;

/**
 * Boots an image cold and returns the bytes of a boot image of two machines: one for a new box, and one for a box with any disk. Commands of `warmUp`
 * are run first, so that the programs which people start first are in the guest's memory. For the build.
 */
export async function makeBootImages(options: {
  assets: string;
  image: string;
  memoryMb: number;
  /** Name of the disk template of the new box. */
  disk: string;
  warmUp: readonly (readonly string[])[];
}): Promise<Uint8Array> {
  const source = nodeAssetSource(options.assets, "");
  const assets = new Assets(source, await readManifest(source));
  const { guest, handle: machine } = new GuestMachine(nodeHost);
  machine.hold(true);
  void machine.giveDisk({ location: null, durability: "relaxed" });
  try {
    await machine.start(
      {
        image: options.image,
        memoryMb: options.memoryMb,
        disk: options.disk,
        diskBytes: BOX_DISK_BYTES,
        manifest: assets.manifest,
        assets: options.assets,
        forBootImage: true,
      },
      assets.compile("v86.wasm"),
    );
    await guest.awaitHello();
    await warmUp(guest, options.warmUp);
    const any = await machine.save({ withDisk: false });
    await guest.prepare();
    await warmUp(guest, options.warmUp);
    return joinBootImages(await machine.save({ withDisk: true }), any);
  } finally {
    await machine.kill();
  }
}

async function warmUp(guest: Guest, commands: readonly (readonly string[])[]): Promise<void> {
  for (const cmd of commands) await runCommand(guest, cmd);
  // The agent has answered and waits for the next frame: nothing is pending in the guest.
  await guest.ping(PING_DEADLINE_MS);
}
