import { constants } from "node:os";
import type { Execution } from "../index.js";
import type { RunCommand } from "./command-line.js";
import { openClient } from "./connection.js";
import { print, printable } from "./output.js";

/** The last: the terminal was closed. */
const ENDING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const bySignal = (signal: (typeof ENDING)[number] | "SIGPIPE") => 128 + constants.signals[signal];

/** What this program exits with when it is not the command that says so: the customs of the shell and its tools. */
export const EXIT = {
  usage: 2,
  /** As `timeout` of the coreutils has it. */
  timedOut: 124,
  failed: 125,
  brokenPipe: bySignal("SIGPIPE"),
} as const;

/** From this exit code on, a command may have been ended by its machine, or never have run. */
const NOT_BY_ITSELF = 126;
const EXPLAIN_MS = 2000;

/** Runs one command in a new box, wired to this process. Resolves to the exit code. */
export async function runCommand(command: RunCommand): Promise<number> {
  const { image, cmd, box: options, timeoutMs } = command;
  const interrupt = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    const exitCode = bySignal(signal as (typeof ENDING)[number]);
    // The second time the user means it.
    if (interrupt.signal.aborted) process.exit(exitCode);
    interrupt.abort(exitCode);
  };
  for (const signal of ENDING) process.on(signal, onSignal);
  try {
    await using client = await openClient(command);
    await using box = await client.create(image, { ...options, signal: interrupt.signal });
    // A server of the published API alone has none for its commands: they find theirs empty.
    const { capabilities } = await client.info();
    const execution: Execution = await box.execStream(cmd, {
      stdin: capabilities.stdin === true,
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    const onAbort = () => execution.cancel().catch(() => {});
    interrupt.signal.addEventListener("abort", onAbort, { once: true });
    if (interrupt.signal.aborted) onAbort();
    const stopInput = passInput(execution);
    try {
      const exitCode = await passOutput(execution);
      if (exitCode !== null && exitCode >= NOT_BY_ITSELF) await explain(execution);
      if (exitCode !== null) return exitCode;
    } finally {
      stopInput();
    }
    if (interrupt.signal.aborted) return interrupt.signal.reason;
    const { status } = await execution.info();
    const timedOut = status === "timeout";
    await print(
      process.stderr,
      `boxrun: ${timedOut ? `timed out after ${timeoutMs} ms` : printable(status)}\n`,
    );
    return timedOut ? EXIT.timedOut : EXIT.failed;
  } catch (error) {
    if (interrupt.signal.aborted) return interrupt.signal.reason;
    throw error;
  } finally {
    for (const signal of ENDING) process.off(signal, onSignal);
  }
}

/** Says on stderr why the command failed, where its box knows: it ran out of memory, or cannot run such a program. */
async function explain(execution: Execution): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), EXPLAIN_MS);
  });
  try {
    const info = await Promise.race([execution.info(), late]);
    if (info?.errorMessage) await print(process.stderr, `boxrun: ${printable(info.errorMessage)}\n`);
  } catch {
    // The exit code is known, whatever becomes of this question.
  } finally {
    clearTimeout(timer);
  }
}

/** Feeds our stdin to the command, at its pace. Returns what stops it. */
function passInput({ stdin }: Execution): () => void {
  if (!stdin) return () => {};
  const writer = stdin.getWriter();
  const input = process.stdin;
  const feed = async () => {
    for await (const chunk of input) await writer.write(chunk as Uint8Array);
    await writer.close();
  };
  feed().catch(() => {});
  // A terminal or pipe that nobody closes would else keep this process alive after the command has ended.
  return () => input.destroy();
}

/** Resolves to the command's exit code, null when it was ended from outside. An output that fails leaves the loop, which cancels the command. */
async function passOutput(execution: Execution): Promise<number | null> {
  for await (const event of execution) {
    if (event.type === "exit") return event.exitCode;
    await print(event.stream === "stdout" ? process.stdout : process.stderr, event.bytes);
  }
  return null;
}
