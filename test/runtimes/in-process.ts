/** What Node, Deno and Bun run. */
import process from "node:process";
import { runContract } from "./run-contract.js";

await runContract(JSON.parse(process.env["BOXRUN_TEST_SETTINGS"] as string));
