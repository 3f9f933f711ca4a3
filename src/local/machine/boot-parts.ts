import type { Assets } from "../assets/assets.js";
import { type BootImage, decodeBootImage, fingerprint } from "./boot-image.js";
import { initramfs } from "./initramfs.js";
import type { MachineConfig } from "./messages.js";
import { imageOf, type ListedBootImage } from "./needed-assets.js";
import { DEVICE_SET } from "./v86-machine.js";

const KERNEL_CMDLINE =
  "console=ttyS0 rdinit=/init tsc=reliable mitigations=off random.trust_cpu=on panic=-1 reboot=k quiet loglevel=3";

/** Returns the fingerprint of a boot image that would fit this machine. */
export function bootImageFingerprint(
  { manifest, memoryMb, image }: MachineConfig,
  diskName: string | null,
): Promise<string> {
  const hash = (name: string) => manifest.files[name]?.rawSha256 ?? "";
  return fingerprint({
    emulator: hash("v86.wasm"),
    memoryMb,
    devices: DEVICE_SET,
    kernel: hash("kernel"),
    initramfs: hash("agent"),
    base: imageOf(manifest, image).baseSha256,
    disk: diskName === null ? "" : hash(diskName),
  });
}

/** Loads a boot image. Rejects when it cannot be used. */
export async function loadBootImage(
  config: MachineConfig,
  assets: Assets,
  listed: ListedBootImage,
): Promise<BootImage> {
  const expected = await bootImageFingerprint(config, listed.disk);
  if (listed.fingerprint !== expected) throw new Error("it was made for another machine");
  return decodeBootImage(await assets.load(listed.name), expected, config.memoryMb);
}

/** Loads what a machine boots from without a boot image. */
export async function loadColdBoot(assets: Assets, forBootImage: boolean) {
  const [kernel, agent, bios, vgaBios] = await Promise.all([
    assets.load("kernel"),
    assets.load("agent"),
    assets.load("bios"),
    assets.load("vgabios"),
  ]);
  // Zeroing freed memory halves a boot image, but makes a machine that goes on from there commit all its memory.
  const cmdline = forBootImage ? `${KERNEL_CMDLINE} init_on_free=1` : KERNEL_CMDLINE;
  return { kernel, bios, vgaBios, cmdline, initramfs: initramfs(agent) };
}
