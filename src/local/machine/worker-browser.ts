/** The Worker entry in browsers. */
import { browserAssetSource } from "../assets/asset-source-browser.js";
import { openDatabaseDisk } from "./disk-database-browser.js";
import type { FromMachine, ToMachine } from "./messages.js";
import { serveMachine } from "./worker.js";

const scope = globalThis as unknown as {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToMachine>) => void) | null;
};

const serve = serveMachine({
  post: (message, transfer) => scope.postMessage(message, transfer),
  openSource: browserAssetSource,
  openDisk: openDatabaseDisk,
});
scope.onmessage = (event) => serve(event.data);
scope.postMessage({ type: "here" } satisfies FromMachine, []);
