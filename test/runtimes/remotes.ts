import type { ClientOptions } from "boxrun";
import { KNOWN_FAILURES } from "../testing/contract/known-failures.js";
import { inChromium, inFirefox, inWebKit } from "./browsers.js";
import { inProcess, type Launch } from "./launch.js";
import type { Settings } from "./messages.js";
import {
  bun,
  chromium,
  deno,
  firefox,
  node,
  node22,
  node24,
  type Runtime,
  webkit,
  workerd,
} from "./runtimes.mjs";
import { inWorker } from "./workerd.js";

/** A runtime that runs the contract with boxes on a server. */
export interface Remote {
  runtime: Runtime;
  launch: Launch;
  /** Returns what a user would give a client there. */
  client(server: string): ClientOptions;
  cannot: Settings["cannot"];
}

/** Groups of the contract that differ by a runtime's own fetch, streams and WebSocket. All other groups differ by the server alone. */
export const TRANSPORT = [
  "exec",
  "execStream",
  "files",
  "directories",
  "watching files",
  "terminals",
  "ports",
] as const;

/** All that the client needs; the environment is for what tells it the settings. */
const DENO = ["run", "--no-remote", "--no-prompt", "--allow-net=127.0.0.1", "--allow-env"];

const byAddress = (baseUrl: string): ClientOptions => ({ backend: "remote", baseUrl });
/** As a user's page on this machine finds its server: by itself. */
const byItself = (): ClientOptions => ({ backend: "remote" });

const inProcessOf = (runtime: Runtime, args?: readonly string[]): Remote => ({
  runtime,
  launch: inProcess(runtime.path, args),
  client: byAddress,
  cannot: KNOWN_FAILURES.overHttp,
});
const inPageOf = (runtime: Runtime, launch: Launch): Remote => ({
  runtime,
  launch,
  client: byItself,
  cannot: KNOWN_FAILURES.fromPage,
});

export const REMOTES = {
  node: inProcessOf(node),
  node22: inProcessOf(node22),
  node24: inProcessOf(node24),
  bun: inProcessOf(bun),
  deno: inProcessOf(deno, DENO),
  workerd: {
    runtime: workerd,
    launch: inWorker,
    client: byAddress,
    cannot: KNOWN_FAILURES.fromWorkerd,
  },
  chromium: inPageOf(chromium, inChromium),
  firefox: inPageOf(firefox, inFirefox),
  webkit: inPageOf(webkit, inWebKit),
} satisfies Record<string, Remote>;
