#!/usr/bin/env node
import { readFile } from "node:fs/promises";
import { isBoxRunError } from "../index.js";
import { parseCommandLine, USAGE, UsageError } from "./command-line.js";
import { openClient } from "./connection.js";
import { OutputError, print, printable } from "./output.js";
import { pullCommand } from "./pull.js";
import { EXIT, runCommand } from "./run.js";

async function main(args: string[]): Promise<number> {
  const command = parseCommandLine(args);
  switch (command.name) {
    case "help":
      await print(process.stdout, USAGE);
      return 0;
    case "version":
      await print(process.stdout, `${await readVersion()}\n`);
      return 0;
    case "images": {
      await using client = await openClient(command);
      for (const { name, aliases, description } of await client.images()) {
        const line = `${[name, ...aliases].join(", ")}\t${description}`;
        await print(process.stdout, `${printable(line)}\n`);
      }
      return 0;
    }
    case "pull":
      return pullCommand(command);
    case "run":
      return runCommand(command);
    case "serve":
      return (await import("./serve.js")).serveCommand(command, process.env);
  }
}

/** The built program is dist/node/cli.js. */
async function readVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
  return version;
}

/** Tells the user about what went wrong, in one line. Returns the exit code for it. */
function report(thrown: unknown): number {
  const error = firstOf(thrown);
  if (error instanceof UsageError) {
    process.stderr.write(`boxrun: ${error.message}\nboxrun --help shows how\n`);
    return EXIT.usage;
  }
  if (error instanceof OutputError) {
    // Its reader has seen enough, as in `boxrun ... | head`: nothing to complain about.
    if (error.code === "EPIPE") return EXIT.brokenPipe;
    process.stderr.write(`boxrun: ${error.message}\n`);
    return EXIT.failed;
  }
  if (isBoxRunError(error)) {
    process.stderr.write(`boxrun: ${printable(error.message)} [${error.code}]\n`);
    return EXIT.failed;
  }
  // Of the system, or of boxrun itself.
  process.stderr.write(`boxrun: ${printable(messageOf(error))}\n`);
  return EXIT.failed;
}

/** What went wrong first: at the end of a block, a box that cannot be removed either hides it. */
function firstOf(error: unknown): unknown {
  const isSuppressed = error instanceof Error && error.name === "SuppressedError" && "suppressed" in error;
  return isSuppressed ? firstOf(error.suppressed) : error;
}

/** In one line, whatever was thrown. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replace(/\s*\n\s*/g, " ");
}

// What nobody awaits: Node would show it with its stack.
process.on("uncaughtException", (error) => process.exit(report(error)));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error);
}
