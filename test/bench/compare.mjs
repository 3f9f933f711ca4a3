/**
 * What one build costs against another: `node test/bench/compare.mjs OTHER [ROUNDS]`, where OTHER is a checkout that has been built, too. A process of each runs the same batches in turns, so that a busy machine
 * slows both down. Prints the medians over all rounds as a table.
 */
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { median } from "./statistics.mjs";

const MB = 1_000_000;
const DISK_MB = 48;
const DEFAULT_ROUNDS = 15;

/** Of one box: each takes a batch and gives a figure. */
const BATCHES = {
  exec_true_ms: async (box) => {
    const times = [];
    for (let i = 0; i < 40; i++) times.push(await timed(() => box.exec(["true"])));
    return median(times);
  },
  disk_write_mb_s: async (box) => {
    const write = `dd if=/dev/zero of=/root/file bs=1M count=${DISK_MB} conv=fsync 2>/dev/null`;
    return (DISK_MB * 2 ** 20) / MB / ((await timed(() => box.exec(write, { check: true }))) / 1000);
  },
  small_files_100_ms: (box) =>
    timed(async () => {
      const contents = new Uint8Array(1000).fill(65);
      for (let i = 0; i < 100; i++) await box.upload(contents, `/root/small/${i}`);
    }),
  small_files_100_by_command_ms: (box) =>
    timed(() =>
      box.exec("mkdir -p /root/s; for i in $(seq 100); do echo $i > /root/s/$i; done", { check: true }),
    ),
};

async function timed(work) {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

if (process.send) {
  const { BoxRunClient } = await import(process.argv[2]);
  const client = new BoxRunClient({ backend: "local", local: { state: process.argv[3] } });
  const box = await client.create("tiny");
  process.on("message", async (name) => process.send(await BATCHES[name](box)));
  process.send("ready");
} else {
  const [other, rounds = DEFAULT_ROUNDS] = process.argv.slice(2);
  const here = fileURLToPath(new URL("../..", import.meta.url));
  const scratch = mkdtempSync(join(tmpdir(), "boxrun-compare-"));
  const sides = [other, here].map((folder, i) => {
    const entry = pathToFileURL(join(folder, "dist/node/index.js")).href;
    const child = fork(fileURLToPath(import.meta.url), [entry, join(scratch, `${i}`)]);
    return { child, answer: () => new Promise((resolve) => child.once("message", resolve)) };
  });
  await Promise.all(sides.map(({ answer }) => answer()));
  console.log("| figure | other | here | here / other |");
  console.log("|---|---:|---:|---:|");
  for (const name of Object.keys(BATCHES)) {
    const figures = [[], []];
    for (let round = 0; round <= Number(rounds); round++) {
      for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) {
        const answer = sides[i].answer();
        sides[i].child.send(name);
        // The first is cold.
        if (round > 0) figures[i].push(await answer);
        else await answer;
      }
    }
    const [theirs, ours] = figures.map(median);
    const ratio = median(figures[1].map((figure, i) => figure / figures[0][i]));
    console.log(`| ${name} | ${theirs.toPrecision(4)} | ${ours.toPrecision(4)} | ${ratio.toFixed(3)} |`);
  }
  for (const { child } of sides) child.kill();
  rmSync(scratch, { recursive: true, force: true });
}
