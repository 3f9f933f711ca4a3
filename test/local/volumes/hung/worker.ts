/** A machine's thread whose volumes are beside a file system that hangs, at its first volume, and have little time for a call. */
import { spawn } from "node:child_process";
import { parentPort, workerData } from "node:worker_threads";
import { nodeAssetSource } from "../../../../src/local/assets/asset-source-node.js";
import { openFileDisk } from "../../../../src/local/machine/disk-file-node.js";
import type { ToMachine } from "../../../../src/local/machine/messages.js";
import { serveMachine } from "../../../../src/local/machine/worker.js";
import { openApart } from "../../../../src/local/volumes/open-directory-node.js";

const { command, callMs } = workerData as { command: [string, string[]]; callMs: number };
const start = () => spawn(...command, { stdio: ["pipe", "pipe", "inherit"] });
const serve = serveMachine({
  post: (message, transfer) => parentPort!.postMessage(message, transfer),
  openSource: (location, cache, part) => nodeAssetSource(location, cache ?? "", part),
  openDisk: openFileDisk,
  openVolume: (directory) => openApart(directory, { start, callMs }),
});
parentPort!.on("message", (message: ToMachine) => serve(message));
