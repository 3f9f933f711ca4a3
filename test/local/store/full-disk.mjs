/** Fills the file system that the boxes in argv[2] are on, and says what came of it. */
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { BoxRunClient } from "boxrun";

const state = process.argv[2];
const client = new BoxRunClient({ backend: "local", local: { state } });
const box = await client.create("tiny", { memoryMb: 256 });
writeFileSync(`${state}/ballast`, new Uint8Array(12 * 2 ** 20));
await box.exec("echo safe > /root/f; sync");
const failed = await box
  .exec("head -c 40000000 /dev/zero | tr '\\0' x > /root/big; sync")
  .catch((error) => error);
const { status, errorCode } = await box.refresh();
const later = await box.exec(["true"]).catch((error) => error);
rmSync(`${state}/ballast`);
// A copy would not fit: the journal is replayed in place, as the next mount would.
const disk = `${state}/boxes/${box.id}/disk`;
spawnSync("/sbin/e2fsck", ["-p", "-E", "journal_only", disk]);
const fsck = spawnSync("/sbin/e2fsck", ["-fn", disk]);
await box.start();
const kept = await box.exec(["cat", "/root/f"]);
console.log(
  JSON.stringify({
    failed: { code: failed.code, retryable: failed.retryable },
    info: { status, errorCode },
    later: later.code,
    fsck: fsck.status,
    kept: kept.stdout,
  }),
);
await box.remove({ force: true });
await client.close();
