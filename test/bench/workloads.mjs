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
const DISK_MB = 48;
const SMALL_FILES = 1000;
const WARM_MS = 4000;
const IDLE_SETTLE_MS = 3000;
const IDLE_MS = 10_000;

/** From the call of create to the first byte of a command's output. */
async function firstOutput(image = "tiny") {
  const client = new BoxRunClient({ backend: "local" });
  const begun = performance.now();
  const box = await client.create(image);
  const created = performance.now();
  const execution = await box.execStream(["echo", "hello"]);
  for await (const event of execution) {
    if (event.type === "log") break;
  }
  const output = performance.now();
  const { boot } = box.info.local;
  if (boot !== "snapshot") throw new Error(`the box was made by a ${boot} boot: ${box.info.local.warnings}`);
  await box.remove({ force: true });
  await client.close();
  return { create_ms: created - begun, first_output_ms: output - begun };
}

/** The same with a machine that is ready. Nothing tells when it is, and it has had the time. */
async function warmOutput(image = "tiny") {
  const client = new BoxRunClient({ backend: "local", local: { warm: [{ image }] } });
  await client.ready();
  await new Promise((resolve) => setTimeout(resolve, WARM_MS));
  const begun = performance.now();
  const box = await client.create(image);
  const execution = await box.execStream(["echo", "hello"]);
  for await (const event of execution) {
    if (event.type === "log") break;
  }
  const warm_output_ms = performance.now() - begun;
  if (box.info.local.boot !== "warm")
    throw new Error(`the machine was not ready, but ${box.info.local.boot}`);
  await box.remove({ force: true });
  await client.close();
  return { warm_output_ms };
}

/** From the call of create to a box, where no boot image fits. */
async function coldBoot() {
  const client = new BoxRunClient({ backend: "local" });
  const begun = performance.now();
  const box = await client.create("tiny", { memoryMb: 1023 });
  const cold_boot_ms = performance.now() - begun;
  await box.remove({ force: true });
  await client.close();
  return { cold_boot_ms };
}

/** Round trips of a command that does nothing: the first 20 of a box, and those after 300; and of `stat`, which is no command. */
async function execTrue() {
  const client = new BoxRunClient({ backend: "local" });
  const box = await client.create("tiny");
  const times = [];
  for (let i = 0; i < 500; i++) {
    const begun = performance.now();
    await box.exec(["true"]);
    times.push(performance.now() - begun);
  }
  const stats = [];
  for (let i = 0; i < 300; i++) {
    const begun = performance.now();
    await box.files.stat("/etc/passwd");
    stats.push(performance.now() - begun);
  }
  await box.remove({ force: true });
  await client.close();
  return { first20: times.slice(0, 20), later: times.slice(300), stats: stats.slice(100) };
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
  const upload = async (path) => {
    const begun = performance.now();
    await box.upload(contents, path);
    return FILE_BYTES / MB / ((performance.now() - begun) / 1000);
  };
  const download = async () => {
    const begun = performance.now();
    const { byteLength } = await (await box.download("/root/file")).bytes();
    return byteLength / MB / ((performance.now() - begun) / 1000);
  };
  const several = async (name, transfer) => {
    const speeds = [];
    for (let i = 0; i < TRANSFERS; i++) speeds.push(await transfer(i));
    return { [`${name}_mb_s`]: median(speeds), [`${name}_first_mb_s`]: speeds[0] };
  };
  const speeds = {
    ...(await several("stdout", stdout)),
    ...(await several("upload", (i) => upload(`/root/file${i}`))),
    // The guest's file system writes such a file out before the old one is gone, so that a crash leaves one of the two.
    ...(await several("upload_over", () => upload("/root/file"))),
    ...(await several("download", download)),
  };
  await box.remove({ force: true });
  await client.close();
  return speeds;
}

/** Makes `count` boxes of the default size and runs a command in each. They live until the process or page ends. */
async function holdBoxes(count) {
  const client = new BoxRunClient({ backend: "local" });
  for (let i = 0; i < count; i++) await (await client.create("tiny")).exec(["true"]);
  return { count };
}

/** What boxes that do nothing cost: of a core, each, once they have settled. `cpuMs` is the place's: what it has used so far. */
async function idleBoxes(count) {
  await holdBoxes(count);
  await pause(IDLE_SETTLE_MS);
  const [begun, used] = [performance.now(), await globalThis.cpuMs()];
  await pause(IDLE_MS);
  const ms = (await globalThis.cpuMs()) - used;
  return { idle_cpu_percent: (100 * ms) / (performance.now() - begun) / count };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Python in a fresh box of debian: from the call of create to its first result, and the runs after. */
async function python() {
  const client = new BoxRunClient({ backend: "local" });
  const begun = performance.now();
  const box = await client.create("debian");
  const run = async () => {
    const at = performance.now();
    const { stdout } = await box.exec(["python3", "-c", "print(42)"]);
    if (stdout !== "42\n") throw new Error(`python said ${stdout}`);
    return performance.now() - at;
  };
  const python_first_ms = await run();
  const first_result_ms = performance.now() - begun;
  const times = [];
  for (let i = 0; i < 15; i++) times.push(await run());
  await box.remove({ force: true });
  await client.close();
  return { python_first_ms, first_result_ms, times };
}

/** The box's own disk: what is written has reached the store when `dd` ends, and what is read was dropped from the guest's memory before. */
async function disk() {
  const client = new BoxRunClient({ backend: "local" });
  const box = await client.create("tiny");
  const write = () =>
    timed(box, `dd if=/dev/zero of=/root/file bs=1M count=${DISK_MB} conv=fsync 2>/dev/null`);
  const disk_write_cold_mb_s = await write();
  const writes = [];
  for (let i = 0; i < TRANSFERS; i++) writes.push(await write());
  const reads = [];
  for (let i = 0; i < TRANSFERS; i++) {
    await box.exec("sync; echo 3 > /proc/sys/vm/drop_caches", { check: true });
    reads.push(await timed(box, "cat /root/file > /dev/null"));
  }
  await box.remove({ force: true });
  await client.close();
  return { disk_write_cold_mb_s, disk_write_mb_s: median(writes), disk_read_mb_s: median(reads) };
}

async function timed(box, command) {
  const begun = performance.now();
  await box.exec(command, { check: true });
  return (DISK_MB * 2 ** 20) / MB / ((performance.now() - begun) / 1000);
}

/** 1,000 files of 1 kB: each by a call of its own, and all of them as an archive that a command unpacks. */
async function smallFiles() {
  const client = new BoxRunClient({ backend: "local" });
  const box = await client.create("tiny");
  const contents = new Uint8Array(1000).fill(65);
  const one = performance.now();
  for (let i = 0; i < SMALL_FILES; i++) await box.upload(contents, `/root/one/${i}`);
  const two = performance.now();
  const archive = new Blob([...Array(SMALL_FILES)].flatMap((_, i) => tarEntry(`all/${i}`, contents)));
  await box.exec(["tar", "x"], { stdin: archive, check: true });
  const three = performance.now();
  const { stdout } = await box.exec("find one all -type f | wc -l");
  if (Number(stdout) !== 2 * SMALL_FILES) throw new Error(`${stdout} files came`);
  await box.remove({ force: true });
  await client.close();
  return { small_files_1000_ms: two - one, small_files_1000_at_once_ms: three - two };
}

/** One file in the tar format, as POSIX has it. */
function tarEntry(name, contents) {
  const header = new Uint8Array(512);
  const put = (text, at) => header.set(new TextEncoder().encode(text), at);
  put(name, 0);
  put("0000644\0", 100);
  put(`${contents.byteLength.toString(8).padStart(11, "0")}\0`, 124);
  put("00000000000\0", 136);
  put("        ", 148);
  put("0", 156);
  put("ustar\x0000", 257);
  put(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );
  return [header, contents, new Uint8Array((512 - (contents.byteLength % 512)) % 512)];
}

/** Round trips of a command that does nothing, in a box of the server at `baseUrl`, and of the same requests by `fetch` alone, in turns. */
async function execOverHttp(baseUrl) {
  const client = new BoxRunClient({ backend: "remote", baseUrl });
  const box = await client.create("tiny");
  const path = `${baseUrl}/v1/boxes/${box.id}/exec`;
  const byFetch = async () => {
    const headers = { "content-type": "application/json" };
    const started = await fetch(path, { method: "POST", headers, body: '{"cmd":["true"]}' });
    const { id } = await started.json();
    await (await fetch(`${path}/${id}/events?bytes=1`)).text();
    await (await fetch(`${path}/${id}`)).json();
  };
  const times = { exec: [], fetch: [] };
  for (let i = 0; i < 400; i++) {
    for (const [name, call] of Object.entries({ exec: () => box.exec(["true"]), fetch: byFetch })) {
      const begun = performance.now();
      await call();
      if (i >= 200) times[name].push(performance.now() - begun);
    }
  }
  await box.remove({ force: true });
  await client.close();
  return times;
}

export const workloads = {
  firstOutput,
  warmOutput,
  coldBoot,
  execTrue,
  throughput,
  holdBoxes,
  idleBoxes,
  python,
  disk,
  smallFiles,
  execOverHttp,
};
