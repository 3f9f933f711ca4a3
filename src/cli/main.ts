#!/usr/bin/env node
import { type ImageInfo, isBoxRunError } from "../index.js";
import { VERSION } from "../util/version.js";
import { parseCommandLine } from "./command-line.js";
import { openClient } from "./connection.js";
import { inFlags } from "./flags.js";
import { UsageError } from "./option-values.js";
import { OutputError, print, printable } from "./output.js";
import { pullCommand } from "./pull.js";
import { EXIT, runCommand } from "./run.js";
import { usageOf } from "./usage.js";

async function main(args: string[]): Promise<number> {
  const command = parseCommandLine(args);
  switch (command.name) {
    case "help":
      await print(process.stdout, usageOf(command.of));
      return 0;
    case "version":
      await print(process.stdout, `${VERSION}\n`);
      return 0;
    case "images": {
      await using client = await openClient(command);
      await listImages(await client.images());
      return 0;
    }
    case "ls":
      return (await import("./list.js")).listCommand(command);
    case "assets":
      return (await import("./assets.js")).assetsCommand(command);
    case "site":
      return (await import("./site.js")).siteCommand(command);
    case "preview":
      return (await import("./preview.js")).previewCommand(command);
    case "pull":
      return pullCommand(command);
    case "run":
      return runCommand(command);
    case "forward":
      return (await import("./forward.js")).forwardCommand(command);
    case "serve":
      return (await import("./serve.js")).serveCommand(command, process.env);
  }
}

/** Prints a line for each image: its names, those of images that it stands in for with a star, and what is in it. */
async function listImages(images: ImageInfo[]): Promise<void> {
  for (const { name, aliases, standsFor = [], description } of images) {
    const names = [name, ...aliases].map((one) => (standsFor.includes(one) ? `${one}*` : one));
    await print(process.stdout, `${printable(`${names.join(", ")}\t${description}`)}\n`);
  }
  if (images.some(({ standsFor }) => standsFor?.length))
    await print(process.stderr, "* not that image itself: this one stands in for it\n");
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
    const socket = process.argv.includes("serve") ? "--socket" : "--server";
    process.stderr.write(`boxrun: ${printable(inFlags(error.message, socket))} [${error.code}]\n`);
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
