/** Tries to make a box in argv[2], where that cannot work, and says what came of it. */
import { existsSync, readdirSync } from "node:fs";
import { BoxRunClient } from "boxrun";

const state = process.argv[2];
const client = new BoxRunClient({ backend: "local", local: { state } });
const error = await client.create("tiny", { name: "refused", memoryMb: 256 }).catch((caught) => caught);
const boxes = await client.listBoxes();
await client.close();
const files = existsSync(`${state}/boxes`) ? readdirSync(`${state}/boxes`) : [];
console.log(JSON.stringify({ code: error.code, message: String(error), boxes, files }));
