/** The Worker entry in Node, Deno and Bun. */
import { parentPort } from "node:worker_threads";
import { defaultCacheFolder, nodeAssetSource } from "../assets/asset-source-node.js";
import { openDirectory } from "../volumes/open-directory-node.js";
import { openFileDisk } from "./disk-file-node.js";
import type { ToMachine } from "./messages.js";
import { serveMachine } from "./worker.js";

const port = parentPort;
if (!port) throw new Error("this file must run as a worker thread");

const serve = serveMachine({
  post: (message, transfer) => port.postMessage(message, transfer),
  openSource: (location, cache, part) =>
    nodeAssetSource(location, cache ?? defaultCacheFolder(process.env), part),
  openDisk: openFileDisk,
  openVolume: openDirectory,
});
port.on("message", (message: ToMachine) => serve(message));
