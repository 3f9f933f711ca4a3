/**
 * A page of test/runtimes that finds what is kept of a box when its page ends: its first life writes and waits for the flush, its second one reads. It reports once in each, and is never told to close anything.
 */
import { BoxRunClient } from "boxrun";
import { FlushLog } from "../robustness/crashes/flush-log.ts";
import { watched } from "./flush-watch.mjs";

const flushes = new FlushLog();
const listen = (worker, hear) => worker.addEventListener("message", ({ data }) => hear(data));
globalThis.Worker = watched(Worker, listen, (said) => flushes.hear(said));

const client = new BoxRunClient({ backend: "local" });

async function write() {
  const box = await client.create("tiny", { name: "kept", memoryMb: 256 });
  await box.exec("echo one > /root/f");
  await box.files.write("/root/g", "two");
  await flushes.settled();
  return {};
}

async function read() {
  // Until the browser has noticed that the first life is over, the box is that one's.
  for await (const boxes of client.watchBoxes()) if (boxes.every(({ status }) => status !== "running")) break;
  const box = await client.getBox("kept");
  await box.start();
  return { found: (await box.exec("cat /root/f /root/g")).stdout };
}

const { life, reload } = await (await fetch("/settings")).json();
const outcome = await (life === 1 ? write() : read()).catch((error) => ({ error: String(error) }));
await fetch("/report", { method: "POST", body: JSON.stringify({ life, ...outcome }) });
if (life === 1 && reload) location.reload();
