/**
 * A process that owns boxes, for tests that kill it: `node box-owner.mjs STATE [JSON options]`. Takes calls as lines of JSON, `{ id, call, args }`; says `{ id, value }` or `{ id, error }`, and
 * what boxes say meanwhile, of their flushes, too. See test/pages/box-calls.mjs.
 */

import { createRequire, syncBuiltinESMExports } from "node:module";
import { createInterface } from "node:readline";
import { BoxRunClient } from "boxrun";
import { boxCalls, outcomeOf } from "../pages/box-calls.mjs";
import { watched } from "../pages/flush-watch.mjs";

const threads = createRequire(import.meta.url)("node:worker_threads");
const listen = (worker, hear) => worker.on("message", hear);
threads.Worker = watched(threads.Worker, listen, (message) => say(message));
syncBuiltinESMExports();

const [state, options = "{}"] = process.argv.slice(2);
const client = new BoxRunClient({ backend: "local", local: { state, ...JSON.parse(options) } });
// To a pipe this is synchronous: what was said is read, whatever becomes of this process.
const say = (message) => void process.stdout.write(`${JSON.stringify(message)}\n`);
const calls = boxCalls(client, say);

for await (const line of createInterface(process.stdin)) {
  const { id, call, args } = JSON.parse(line);
  outcomeOf(calls[call](...args)).then((outcome) => say({ id, ...outcome }));
}
await client.close();
