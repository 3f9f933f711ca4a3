#!/usr/bin/env node
import { BoxRunClient, isBoxRunError } from "../index.js";
import { parseCommandLine, USAGE, UsageError } from "./command-line.js";
import { runCommand } from "./run.js";

/** What the shell's own tools exit with when they are called in a wrong way, and when they fail themselves. */
const EXIT_USAGE = 2;
const EXIT_FAILED = 125;

async function main(args: string[]): Promise<number> {
  const command = parseCommandLine(args);
  switch (command.name) {
    case "help":
      process.stdout.write(USAGE);
      return 0;
    case "images": {
      await using client = new BoxRunClient();
      for (const { name, aliases, description } of await client.images()) {
        process.stdout.write(`${[name, ...aliases].join(", ")}\t${description}\n`);
      }
      return 0;
    }
    case "run":
      return runCommand(command);
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`boxrun: ${error.message}\n\n${USAGE}`);
    process.exitCode = EXIT_USAGE;
  } else if (isBoxRunError(error)) {
    process.stderr.write(`boxrun: ${error.message} [${error.code}]\n`);
    process.exitCode = EXIT_FAILED;
  } else {
    throw error;
  }
}
