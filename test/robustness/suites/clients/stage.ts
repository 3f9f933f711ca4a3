import { createHash } from "node:crypto";
import { type BoxHandle, BoxRunClient } from "boxrun";
import { nodeDialer } from "../../../../src/local/network/dialer-node.js";
import type { Dialer } from "../../../../src/network/dialer.js";
import type { World } from "../../../local/network/world.js";

/** The mirror that the image's own list of sources names. */
export const MIRROR = "deb.debian.org";
/** What is installed from it, box for box. */
const PACKAGES = {
  user: ["git", "openssh-client", "wget", "netcat-openbsd", "python3-requests", "python3-websockets"],
  shop: ["nginx", "openssh-server", "openssh-client"],
};
/** Names of the two boxes, by which they know each other. */
type Role = keyof typeof PACKAGES;
const INSTALL_MS = 20 * 60_000;
const NETWORK = { lan: "proofs" };

/** Where the checks play: two boxes of one LAN with programs that are not ours, and servers on this machine's loopback. */
export interface Stage {
  /** Has the clients: git, ssh, wget, nc, and Python's requests and websockets. */
  user: BoxHandle;
  /** Has the servers: nginx and sshd. The other box knows it by this name. */
  shop: BoxHandle;
  /** Folder of this machine with the files of the servers below example.com. */
  folder: string;
}

/** One thing that must work. Its `run` rejects, with what is wrong, when it does not. */
export interface Check {
  /** Program and what it does: "wget: follows a redirect". */
  name: string;
  run(stage: Stage): Promise<void>;
}

/** Creates a client whose boxes reach the names of a world, and the mirror of Debian wherever it is. */
export function clientOf(world: World): BoxRunClient {
  const real = nodeDialer();
  // Trusted with the mirror: on some machines it is one of the local network, which rules do not allow.
  const dialer: Dialer = {
    resolves: (name, options) => (name === MIRROR ? real.resolves!(name, options) : world.resolves(name)),
    connect: (target, options) =>
      target.host === MIRROR
        ? real.connect(target, { signal: options.signal })
        : world.connect(target, options),
  };
  return new BoxRunClient({ backend: "local", local: { persistent: false, dialer } });
}

/** Creates a box and installs its packages. @throws {Error} when the mirror cannot be reached, or apt fails */
export async function installBox(
  client: BoxRunClient,
  role: Role,
  say: (line: string) => void,
): Promise<BoxHandle> {
  const box = await client.create("debian", { name: role, memoryMb: 1024, network: NETWORK });
  const steps = [
    "apt-get -q update -o APT::Update::Error-Mode=any -o Acquire::Languages=none",
    `apt-get -q install -y --no-install-recommends ${PACKAGES[role].join(" ")}`,
  ];
  for (const step of steps) {
    const began = performance.now();
    const { exitCode, stdout } = await box.exec(step, {
      env: { DEBIAN_FRONTEND: "noninteractive" },
      stderr: "stdout",
      timeoutMs: INSTALL_MS,
    });
    if (exitCode !== 0)
      throw new Error(
        `${step}\nexit code ${exitCode}, with ${MIRROR} as the mirror:\n${stdout.slice(-2000)}`,
      );
    say(`${role}: ${step.split(" ")[2]} took ${Math.round((performance.now() - began) / 1000)} s`);
  }
  return box;
}

/** Lists the versions of what was installed: "git 1:2.47.3-0+deb13u1". */
export async function versionsOf(box: BoxHandle, role: Role): Promise<string[]> {
  const { stdout } = await box.exec("dpkg-query", ["-W", ...PACKAGES[role]], { check: true });
  return stdout.trim().replaceAll("\t", " ").split("\n");
}

/** Runs a shell command that ends within a minute, and gives all that it prints and its exit code. */
export async function sh(box: BoxHandle, command: string): Promise<{ out: string; code: number | null }> {
  const { stdout, exitCode } = await box.exec(command, { stderr: "stdout", timeoutMs: 120_000 });
  return { out: stdout, code: exitCode };
}

/** Runs a shell command that must succeed, and gives all that it prints. */
export async function done(box: BoxHandle, command: string): Promise<string> {
  const { out, code } = await sh(box, command);
  if (code !== 0) throw new Error(`${command}\nexit code ${code}: ${out.slice(-1500)}`);
  return out;
}

/** Runs a Python program that must succeed, and gives what it prints. */
export async function python(box: BoxHandle, program: string): Promise<string> {
  const { stdout, stderr, exitCode } = await box.exec("python3", ["-c", program], { timeoutMs: 120_000 });
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${stderr.slice(-1500)}`);
  return stdout;
}

/** Returns the SHA-256 in hexadecimal, as sha256sum prints it. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
