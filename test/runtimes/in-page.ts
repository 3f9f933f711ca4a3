/** What a page runs. */
import type { Settings } from "./messages.js";
import { runContract } from "./run-contract.js";

const settings = await fetch("/settings");
await runContract((await settings.json()) as Settings);
