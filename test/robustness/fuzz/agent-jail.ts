import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Of no user of the machine. */
const NOBODY = 64_999;
const asRoot = process.getuid?.() === 0;

/**
 * What runs first in namespaces of its own: it makes a root of what the machine has, which can be read only, and a /tmp, which is gone with it; and the agent runs there
 * as nobody, without a network, within limits, and with volumes where it believes in them. Processes outside cannot be seen from there. Exits with the agent's code, or with 99 when it left processes behind.
 */
const INIT = `
set -eu
root=$1; agent=$2; shift 2
mount -t tmpfs -o size=32m,nr_inodes=20000,mode=755 none "$root"
cd "$root"
mkdir dev dev/pts proc tmp
for folder in bin lib lib32 lib64 usr; do
  if [ -L "/$folder" ]; then cp -P "/$folder" "$folder"
  elif [ -d "/$folder" ]; then mkdir "$folder"; mount -o bind "/$folder" "$folder"; mount -o remount,bind,ro,nosuid,nodev "/$folder" "$root/$folder"
  fi
done
touch dev/null dev/zero agent
for file in null zero; do mount -o bind "/dev/$file" "dev/$file"; done
mount -o bind "$agent" agent
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t proc proc proc
mount -t tmpfs -o size=16m,nr_inodes=10000,mode=1777 none tmp
printf '%s\\n' '1 0 0:1 / / rw - tmpfs none rw' '2 1 0:2 /0 /tmp/d rw - 9p host9p rw' '3 2 0:2 /1/a\\040b /tmp/d/e rw - 9p host9p rw' >mounts
mount -o remount,ro,bind "$root" 2>/dev/null || true
set +e
chroot . /usr/bin/prlimit --core=0 --cpu=20 --fsize=8388608 --nproc=300 /usr/bin/setpriv "$@" --no-new-privs --bounding-set=-all --inh-caps=-all /agent --fd 3
code=$?
exec 3>&-
for turn in $(seq 1 500); do
  left=0
  for process in proc/[0-9]*; do [ "$process" = proc/1 ] || left=1; done
  [ $left = 0 ] && exit $code
  sleep 0.01
done
exit 99
`;

/** An agent of its own world, and its end of the connection. */
export class Jail {
  /** Its exit code; 99: it left processes behind. */
  readonly exited: Promise<number | null>;
  readonly socket: Socket;
  /** What it has said on its error output. */
  errors = "";
  private readonly child: ChildProcess;
  private readonly root = mkdtempSync(join(tmpdir(), "boxrun-jail-"));

  constructor(agent: string) {
    const spaces = ["--mount", "--pid", "--fork", "--kill-child", "--net", "--ipc", "--uts"];
    const user = asRoot ? [] : ["--user", "--map-root-user"];
    // In a user namespace, its root is whoever started it, and nobody else is there.
    const identity = asRoot ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : [];
    const args = [...user, ...spaces, "sh", "-c", INIT, "sh", this.root, agent, ...identity];
    this.child = spawn("unshare", args, {
      stdio: ["ignore", "ignore", "pipe", "pipe"],
      env: {
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
        BOXRUN_AGENT_MOUNTS: "/mounts",
        ASAN_OPTIONS: "detect_leaks=0",
        UBSAN_OPTIONS: "print_stacktrace=1",
      },
    });
    this.socket = this.child.stdio[3] as Socket;
    this.socket.on("error", () => {});
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
    });
    this.exited = new Promise((resolve) => {
      this.child.once("error", () => resolve(null));
      this.child.once("close", (code) => {
        rmSync(this.root, { recursive: true, force: true });
        resolve(code);
      });
    });
  }

  /** Ends all that is in it. */
  kill(): void {
    this.child.kill("SIGKILL");
  }

  /** How many descriptors the agent has open, and how many children it has. */
  census(): { descriptors: number; children: number } {
    const [init] = childrenOf(this.child.pid!);
    const [agent] = childrenOf(init!);
    return { descriptors: readdirSync(`/proc/${agent}/fd`).length, children: childrenOf(agent!).length };
  }
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").filter(Boolean).map(Number);
}

/** Why there can be no such world here; undefined when there can. */
export function whyNoJail(): string | undefined {
  const args = [
    ...(asRoot ? [] : ["--user", "--map-root-user"]),
    "--mount",
    "--pid",
    "--fork",
    "--net",
    "sh",
    "-c",
    "mount -t tmpfs none /mnt && mount -t proc proc /proc",
  ];
  const { status, stderr, error } = spawnSync("unshare", args, { encoding: "utf8" });
  return status === 0
    ? undefined
    : `this machine does not let namespaces be made: ${(error?.message ?? stderr).trim()}`;
}
