/** A box with a volume whose file system hangs, in Node, Deno and Bun. Takes that directory and another one. Prints what came of it, as JSON. */
import { existsSync, rmSync } from "node:fs";
import process from "node:process";
import { BoxRunClient } from "boxrun";

const [hanging, near] = process.argv.slice(2) as [string, string];
/** Far less than a file system has to answer, and time for a busy machine. */
const SOON_MS = 15_000;

const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
const volumes = [
  { hostPath: hanging, guestPath: "/far" },
  { hostPath: near, guestPath: "/near" },
];
const begin = () => client.create("tiny", { volumes });

/** Starts a command that waits for the volume, and resolves once it does. Returns the command's failure. */
async function hang(exec: () => Promise<unknown>): Promise<{ failure: Promise<unknown> }> {
  const asked = `${hanging}.asked`;
  rmSync(asked, { force: true });
  const failure = exec().catch((error) => error.code);
  while (!existsSync(asked)) await new Promise((resolve) => setTimeout(resolve, 5));
  return { failure };
}

async function isSoon(work: Promise<unknown>): Promise<boolean> {
  const begun = performance.now();
  await work;
  return performance.now() - begun < SOON_MS;
}

const box = await begin();
const before = await box.exec("cat /far/hello");
const watch = await box.files
  .watch("/far")
  .next()
  .catch((error) => error.message);
const { failure: waiting } = await hang(() => box.exec("ls /far/stuck-1"));
const controller = new AbortController();
const list = box.files.list("/far", { signal: controller.signal }).catch((error) => error.message);
const meanwhile = box.exec("echo box; echo volume > /near/new; cat /near/new; echo disk > /own; cat /own");
const answersSoon = await isSoon(meanwhile);
controller.abort(new Error("enough"));
const abortsSoon = await isSoon(list);
const stopsSoon = await isSoon(box.stop());

const killed = await begin();
const { failure: left } = await hang(() => killed.exec(["true"], { cwd: "/far/stuck-2" }));
const besideStart = killed.exec("echo box");
const startsSoon = await isSoon(besideStart);
const removesSoon = await isSoon(killed.remove({ force: true }));

const stuck = { hostPath: `${hanging}/stuck`, guestPath: "/far" };
const refused = await client.create("tiny", { volumes: [stuck] }).catch((error) => error);

const ended = await begin();
await hang(() => ended.exec("/far/stuck-3"));
const results = {
  before: before.stdout,
  watch,
  meanwhile: (await meanwhile).stdout,
  "a call that is aborted": await list,
  "beside a command that starts there": (await besideStart).stdout,
  "a command that waits when its box stops": await waiting,
  "a command that waits when its box is removed": await left,
  "a directory that does not answer": [refused.code, refused.message.replace(hanging, "")],
  soon: { answersSoon, abortsSoon, startsSoon, stopsSoon, removesSoon },
};
process.stdout.write(JSON.stringify(results));
// With a box whose volume hangs.
process.exit(0);
