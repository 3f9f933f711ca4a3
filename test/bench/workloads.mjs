/**
 * What is measured, the same in Node and in a page. Each function gets a fresh process or page, so that nothing is warm
 * but the caches of files.
 */
import { BoxRunClient } from "boxrun";
import { median } from "./statistics.mjs";

const MB = 1_000_000;
const FILE_BYTES = 20 * MB;
const BLOCK_BYTES = 64 * 1024;
const STREAM_BLOCKS = 1000;
const TRANSFERS = 5;

/** From the call of create to the first byte of a command's output. */
async function firstOutput() {
  const client = new BoxRunClient({ backend: "local" });
  const begun = performance.now();
  const box = await client.create("tiny");
  const created = performance.now();
  const execution = await box.execStream(["echo", "hello"]);
  for await (const event of execution) {
    if (event.type === "log") break;
  }
  const output = performance.now();
  const { boot } = box.info.local;
  if (boot !== "snapshot") throw new Error(`the box was made by a ${boot} boot: ${box.info.local.warnings}`);
  await client.close();
  return { create_ms: created - begun, first_output_ms: output - begun };
}

/** From the call of create to a box, where no snapshot fits. */
async function coldBoot() {
  const client = new BoxRunClient({ backend: "local" });
  const begun = performance.now();
  await client.create("tiny", { memoryMb: 1023 });
  const cold_boot_ms = performance.now() - begun;
  await client.close();
  return { cold_boot_ms };
}

/** Round trips of a command that does nothing: the first 20 of a box, and those after 300. */
async function execTrue() {
  const client = new BoxRunClient({ backend: "local" });
  const box = await client.create("tiny");
  const times = [];
  for (let i = 0; i < 500; i++) {
    const begun = performance.now();
    await box.exec(["true"]);
    times.push(performance.now() - begun);
  }
  await client.close();
  return { first20: times.slice(0, 20), later: times.slice(300) };
}

/**
 * Bulk transfers: the median of several in one box, and the first by itself, since the guest's code for it is compiled as it
 * runs.
 */
async function throughput() {
  const client = new BoxRunClient({ backend: "local" });
  const box = await client.create("tiny");
  const stdout = async () => {
    const begun = performance.now();
    let received = 0;
    for await (const event of await box.execStream([
      "dd",
      "if=/dev/zero",
      "bs=64k",
      `count=${STREAM_BLOCKS}`,
    ])) {
      if (event.type === "log" && event.stream === "stdout") received += event.bytes.byteLength;
    }
    const bytes = STREAM_BLOCKS * BLOCK_BYTES;
    if (received !== bytes) throw new Error(`${received} bytes of ${bytes} came`);
    return bytes / MB / ((performance.now() - begun) / 1000);
  };
  const contents = new Uint8Array(FILE_BYTES).map((_, i) => (i * 2654435761) >>> 24);
  const upload = async () => {
    const begun = performance.now();
    await box.upload(contents, "/root/file");
    return FILE_BYTES / MB / ((performance.now() - begun) / 1000);
  };
  const download = async () => {
    const begun = performance.now();
    const { byteLength } = await (await box.download("/root/file")).bytes();
    return byteLength / MB / ((performance.now() - begun) / 1000);
  };
  const several = async (name, transfer) => {
    const speeds = [];
    for (let i = 0; i < TRANSFERS; i++) speeds.push(await transfer());
    return { [`${name}_mb_s`]: median(speeds), [`${name}_first_mb_s`]: speeds[0] };
  };
  const speeds = {
    ...(await several("stdout", stdout)),
    ...(await several("upload", upload)),
    ...(await several("download", download)),
  };
  await client.close();
  return speeds;
}

/** Makes `count` boxes of the default size and runs a command in each. They live until the process or page ends. */
async function holdBoxes(count) {
  const client = new BoxRunClient({ backend: "local" });
  for (let i = 0; i < count; i++) await (await client.create("tiny")).exec(["true"]);
  return { count };
}

export const workloads = { firstOutput, coldBoot, execTrue, throughput, holdBoxes };
