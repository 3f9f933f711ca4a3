/**
 * A process that owns a box, for tests that kill it: `node box-owner.mjs STATE NAME [JSON options]`. Prints "ready" and then each line that the command in the box
 * prints, as it comes. It closes its client when it gets TERM.
 */
import { BoxRunClient } from "boxrun";

const [state, name, command, options = "{}"] = process.argv.slice(2);
const client = new BoxRunClient({ backend: "local", local: { state, ...JSON.parse(options) } });
process.once("SIGTERM", () => client.close());
const box = await client.create("tiny", { name, memoryMb: 256 });
console.log("ready");
const execution = await box.execStream(command);
for await (const event of execution) if (event.type === "log") process.stdout.write(event.data);
