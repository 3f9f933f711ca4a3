#!/usr/bin/env node
import { readFile } from "node:fs/promises";
import { isBoxRunError } from "../index.js";
import { parseCommandLine } from "./command-line.js";
import { openClient } from "./connection.js";
import { UsageError } from "./option-values.js";
import { OutputError, print, printable } from "./output.js";
import { pullCommand } from "./pull.js";
import { EXIT, runCommand } from "./run.js";
import { USAGE } from "./usage.js";

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

/** Reads the version of the package. The built program is dist/node/cli.js, two folders below package.json. */
async function readVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
  return version;
}

/** Prints an error in one line. Returns the exit code for it. */
function report(thrown: unknown): number {
  const error = firstOf(thrown);
  if (error instanceof UsageError) {
    process.stderr.write(`boxrun: ${error.message}\nRun "boxrun --help" for usage.\n`);
    return EXIT.usage;
  }
  if (error instanceof OutputError) {
    // The reader has seen enough, as in `boxrun ... | head`. That is not an error.
    if (error.code === "EPIPE") return EXIT.brokenPipe;
    process.stderr.write(`boxrun: ${error.message}\n`);
    return EXIT.failed;
  }
  if (isBoxRunError(error)) {
    process.stderr.write(`boxrun: ${printable(error.message)} [${error.code}]\n`);
    return EXIT.failed;
  }
  // An error of the system, or of boxrun itself.
  process.stderr.write(`boxrun: ${printable(messageOf(error))}\n`);
  return EXIT.failed;
}

/** Returns the error that came first: at the end of a block, a failed removal of the box hides it. */
function firstOf(error: unknown): unknown {
  const isSuppressed = error instanceof Error && error.name === "SuppressedError" && "suppressed" in error;
  return isSuppressed ? firstOf(error.suppressed) : error;
}

/** Returns the message of anything that was thrown, in one line. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replace(/\s*\n\s*/g, " ");
}

// Rejections that nobody handles. Node would print them with a stack.
process.on("uncaughtException", (error) => process.exit(report(error)));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error);
}
