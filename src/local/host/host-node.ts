import { totalmem } from "node:os";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { refusedPermission } from "../../backend/errors.js";
import { besideBuild } from "../../util/beside-build-node.js";
import { assetFolders } from "../assets/asset-folders-node.js";
import { COPY_HINT, givenPlace } from "../assets/asset-places.js";
import { defaultCacheFolder, nodeAssetSource } from "../assets/asset-source-node.js";
import { findPackage } from "../assets/find-package-node.js";
import type { DirectoryConfig, FromMachine } from "../machine/messages.js";
import { defaultStateFolder, folderStore } from "../store/store-node.js";
import type { Host } from "./host.js";

/** Resolves to the result of `work`. @throws {BoxRunError} UNSUPPORTED when the runtime does not permit it */
function allowed<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw refusedPermission(error) ?? error;
  }
}

const { deno, bun, node } = process.versions;

/** Advice for code of the package that has lost its own files. */
const UNBUNDLED_HINT =
  "keep boxrun out of the bundle of a server: serverExternalPackages in Next.js, external in others; or set local.assets";

const IN_MEMORY = 'use memoryVolume of "boxrun/local"';

/** Permissions that --allow-all of Deno grants. */
const ALL_OF_DENO = ["read", "write", "net", "env", "sys", "run", "ffi", "import"];

/** The part of `Deno.permissions` that is used here. */
interface PermissionQuery {
  querySync(descriptor: { name: string }): { state: string };
}

/** Host of the local backend in Node, Deno and Bun. */
export const nodeHost: Host = {
  description: deno ? `Deno ${deno}` : bun ? `Bun ${bun}` : `Node ${node}`,
  get memoryMb() {
    try {
      // A container may use less than its machine has; without a limit this number is 0, or larger than any machine.
      const limit = process.constrainedMemory?.() || Number.POSITIVE_INFINITY;
      return Math.floor(Math.min(totalmem(), limit) / 2 ** 20);
    } catch {
      // Deno only reports it with a permission that boxes do not need.
      return undefined;
    }
  },
  assetPlaces: (given) => {
    if (given === undefined) return { locations: assetFolders(), hint: UNBUNDLED_HINT };
    return givenPlace(
      given,
      (place) => (/^(file|https?):/.test(place) ? place : pathToFileURL(place).href),
      COPY_HINT,
    );
  },
  openSource: (location, cache, part) =>
    allowed(() => nodeAssetSource(location, cache ?? defaultCacheFolder(process.env), part)),
  findPackage,
  openStore: async (state) => allowed(() => folderStore(state ?? defaultStateFolder(process.env))),
  encrypt: async (connection, serverName) =>
    (await import("../network/tls-client-node.js")).encrypt(connection, serverName),
  wayOut: {
    name: "direct",
    open: async () => ({ dialer: (await import("../network/dialer-node.js")).nodeDialer() }),
  },
  folders: "folders of a page are for pages; give { hostPath } for a directory of this machine",
  get volumes() {
    return noDirectories() ?? openToCheck;
  },
  startWorker: (onMessage, onFailure) => {
    const worker = new Worker(besideBuild("./machine-worker.js"), {
      name: "boxrun-machine",
      // The flags of the process are for its own script, and some of them refuse any other.
      execArgv: [],
    });
    let terminated = false;
    worker.on("message", (message: FromMachine) => onMessage(message));
    // Only after that: a listener for messages makes a thread keep its process alive.
    worker.unref();
    worker.on("error", onFailure);
    worker.on("exit", (code) => {
      if (!terminated) onFailure(new Error(`the machine's thread ended with code ${code}`));
    });
    return {
      post: (message, transfer) => worker.postMessage(message, transfer),
      terminate: async () => {
        terminated = true;
        await worker.terminate();
      },
      hold: (held) => (held ? worker.ref() : worker.unref()),
    };
  },
};

async function openToCheck(directory: DirectoryConfig): Promise<void> {
  const { openDirectory } = await import("../volumes/open-directory-node.js");
  (await openDirectory(directory)).root.close();
}

/** Returns the reason why directories cannot be mounted; undefined where they can. */
function noDirectories(): string | undefined {
  if (process.platform !== "linux")
    return `directories are mounted on Linux only, since nothing else opens files by their directory's descriptor; ${IN_MEMORY}`;
  if (ALL_OF_DENO.every(isGranted)) return undefined;
  return `in Deno, directories are mounted with --allow-all only, since it opens nothing in /proc with less; ${IN_MEMORY}`;
}

/** Returns true if the process has a permission of Deno, and in any other runtime. */
function isGranted(name: string): boolean {
  const { Deno } = globalThis as { Deno?: { permissions: PermissionQuery } };
  try {
    return Deno === undefined || Deno.permissions.querySync({ name }).state === "granted";
  } catch {
    // A version that does not have it.
    return true;
  }
}
