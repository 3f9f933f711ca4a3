import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { ROOT } from "../root.js";
import { startProcess } from "./launch.js";
import { deno, wrangler } from "./runtimes.mjs";

const README = readFileSync(join(ROOT, "demo/edge/README.md"), "utf8");
/** The README's commands, and what it shows of the last function's answer. */
const COMMANDS = [...README.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, lines]) =>
  lines!.trim().split("\n"),
);
const ANSWER = /^```\n(\{.*?)^```$/ms.exec(README)?.[1];
/** Where the README has its server and its function. */
const SERVER = "http://127.0.0.1:9090";
const FUNCTION = "http://127.0.0.1:8000";

const scratch = mkdtempSync(join(tmpdir(), "boxrun-edge-"));
let folder: string;
let stops: (() => Promise<void>)[] = [];

function command(begin: RegExp): string {
  const found = COMMANDS.find((line) => begin.test(line));
  if (found === undefined) throw new Error(`the README has no command ${begin}`);
  return found;
}

/** Starts a command as a shell does, and resolves to the address that it prints. Ports are those that are free. */
async function start(line: string, prints: RegExp): Promise<string> {
  let found: (url: string) => void = () => {};
  let output = "";
  const address = new Promise<string>((resolve) => {
    found = resolve;
  });
  const { ended, stop } = startProcess("sh", ["-c", line], {
    cwd: folder,
    env: {
      PATH: `${join(scratch, "bin")}:${process.env["PATH"]}`,
      BOXRUN_STATE_DIR: join(scratch, "state"),
      // Wrangler asks nothing, and tells nobody.
      CI: "1",
      WRANGLER_SEND_METRICS: "false",
      XDG_CONFIG_HOME: join(scratch, "config"),
    },
    onOutput: (text) => {
      output += text;
      const url = prints.exec(output)?.[1];
      if (url !== undefined) found(url.replace(/\/$/, ""));
    },
  });
  stops.push(stop);
  const early = ended.then((how) => Promise.reject(new Error(`${line} ended ${how}`)));
  early.catch(() => {});
  return Promise.race([address, early]);
}

/** A project with `boxrun` and Wrangler installed and the examples copied into it. */
beforeAll(() => {
  folder = join(inject("project"), "edge");
  cpSync(join(ROOT, "demo/edge"), folder, { recursive: true });
  const bin = join(folder, "node_modules/.bin");
  mkdirSync(bin, { recursive: true });
  symlinkSync(join(inject("project"), "node_modules/boxrun/dist/node/cli.js"), join(bin, "boxrun"));
  symlinkSync(wrangler.path, join(bin, "wrangler"));
  mkdirSync(join(scratch, "bin"));
  symlinkSync(deno.path, join(scratch, "bin/deno"));
});
afterAll(async () => {
  await Promise.all(stops.map((stop) => stop()));
  stops = [];
  rmSync(folder, { recursive: true, force: true });
  rmSync(scratch, { recursive: true });
});

/** Runs the README's curl. */
async function curl(url: string): Promise<string> {
  const line = command(/^curl/).replace(FUNCTION, url);
  return (await promisify(execFile)("sh", ["-c", line])).stdout;
}

describe("the commands of demo/edge's README", () => {
  const missing = deno.missing ?? wrangler.missing;
  if (missing !== undefined) return it.skip(missing);

  let server: string;
  beforeAll(async () => {
    server = await start(`${command(/^npx boxrun serve/)} --port 0`, /listening on (http:\S+)/);
  });

  it("run the Deno function, whose answer is as it is shown", async () => {
    const line = command(/deno serve/)
      .replace(SERVER, server)
      .replace("deno serve", "deno serve --host 127.0.0.1 --port 0");
    expect(await curl(await start(line, /Listening on (http:\S+)/))).toBe(ANSWER);
  });

  it("run the Worker under Wrangler, whose answer is the same", async () => {
    const line = `${command(/^npx wrangler/).replace(SERVER, server)} --port 0`;
    expect(await curl(await start(line, /Ready on (http:\S+)/))).toBe(ANSWER);
  });
});
