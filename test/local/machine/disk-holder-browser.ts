/** Opens the disk in the database that it is told, writes to it, tells that, and has it open until it is told to close it or ends. */
import { openDatabaseDisk } from "../../../src/local/machine/disk-database-browser.js";
import { deferred } from "../../../src/util/deferred.js";

const told = deferred();
addEventListener("message", async ({ data }: MessageEvent<{ name: string } | "close">) => {
  if (data === "close") return told.resolve();
  const disk = await openDatabaseDisk(data.name, { bytes: 2 ** 30, durability: "relaxed" });
  await disk.write(0, new Uint8Array(512).fill(7));
  postMessage("open");
  await told.promise;
  await disk.close();
});
