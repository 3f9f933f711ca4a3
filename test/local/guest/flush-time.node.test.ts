import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BoxHandle, BoxRunClient } from "boxrun";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
const client = new BoxRunClient({ backend: "local", local: { state } });
let box: BoxHandle;
beforeAll(async () => {
  box = await client.create("tiny", { memoryMb: 256 });
});
afterAll(async () => {
  await client.close();
  rmSync(state, { recursive: true });
});

const WRITES = 5;
/**
 * Writes, waits a second of the guest's own time, and says whether the journal has been committed in the meantime, again and again. A flush ends with a commit, and what the guest's kernel does without
 * one comes later.
 */
const WRITER = `
commits() { read n rest < /proc/fs/jbd2/sdb-8/info; echo $n; }
cd /root
for i in $(seq ${WRITES}); do
  before=$(commits); echo $i > f$i; sleep 1
  [ $(commits) -gt $before ] && echo stored || echo late
done`;

/** Of a machine that stands still for a moment, as a busy host may make it, guest and timers wake at once. */
const mostly = (said: string) => said.match(/stored/g)?.length ?? 0;

describe("what a box writes is stored within a second of its own time", () => {
  it("by a command that runs on", async () => {
    const { stdout } = await box.exec(WRITER);
    expect(stdout.trim().split("\n")).toHaveLength(WRITES);
    expect(mostly(stdout)).toBeGreaterThan(WRITES / 2);
  });

  it("by what a command has left behind, which sleeps most of the time", async () => {
    const daemon = `cat > /root/writer <<'END'\n${WRITER}\nEND\nmkfifo /root/said; setsid sh /root/writer > /root/said 2> /dev/null < /dev/null & sleep 0.1`;
    await box.exec(daemon, { check: true });
    const { stdout } = await box.exec("cat /root/said");
    expect(mostly(stdout)).toBeGreaterThan(WRITES / 2);
  });

  it("while others keep its processor busy", async () => {
    const busy = "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done";
    const { stdout } = await box.exec(`${busy}\n${WRITER}\nkill $(jobs -p)`);
    expect(mostly(stdout)).toBeGreaterThan(WRITES / 2);
  });
});
