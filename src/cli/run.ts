import { constants } from "node:os";
import type { Execution, Secrets } from "../index.js";
import { whenAborted } from "../util/abort.js";
import type { RunCommand } from "./command-line.js";
import { openClient } from "./connection.js";
import { publish } from "./forward.js";
import { type SecretOption, UsageError } from "./option-values.js";
import { print, printable } from "./output.js";

/** Signals that cancel the command. The last one means that the terminal was closed. */
const ENDING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const bySignal = (signal: (typeof ENDING)[number] | "SIGPIPE") => 128 + constants.signals[signal];

/** Exit codes of this program other than those of the command, by the conventions of shells and coreutils. */
export const EXIT = {
  usage: 2,
  /** Exit code of `timeout` in the coreutils. */
  timedOut: 124,
  failed: 125,
  brokenPipe: bySignal("SIGPIPE"),
} as const;

/** From this exit code up, the machine may have ended the command, or it never ran. */
const NOT_BY_ITSELF = 126;
const EXPLAIN_MS = 2000;

/** Runs a command in a new box, connected to the streams of this process. Resolves to the exit code. */
export async function runCommand(command: RunCommand): Promise<number> {
  const { image, cmd, timeoutMs, publish: published } = command;
  const options = { ...command.box, ...readSecrets(command.secrets, process.env) };
  let closePorts: () => Promise<unknown> = async () => {};
  const interrupt = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    const exitCode = bySignal(signal as (typeof ENDING)[number]);
    // The user insists.
    if (interrupt.signal.aborted) process.exit(exitCode);
    interrupt.abort(exitCode);
  };
  for (const signal of ENDING) process.on(signal, onSignal);
  try {
    await using client = await openClient(command);
    await using box = await client.create(image, { ...options, signal: interrupt.signal });
    const forwardings = await publish(box, published);
    closePorts = () => Promise.all(forwardings.map((one) => one.close()));
    // A server of the published API alone has no stdin for commands: theirs is empty.
    const { capabilities } = await client.info();
    const execution: Execution = await box.execStream(cmd, {
      stdin: capabilities.stdin === true,
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    const onAbort = () => execution.cancel().catch(() => {});
    whenAborted(interrupt.signal, onAbort);
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
    await closePorts();
    for (const signal of ENDING) process.off(signal, onSignal);
  }
}

/** Takes the values of secrets from the environment, where other programs do not see them. @throws {UsageError} when one is missing */
function readSecrets(asked: readonly SecretOption[], env: NodeJS.ProcessEnv): { secrets?: Secrets } {
  if (asked.length === 0) return {};
  const secrets = asked.map(({ name, hosts }) => {
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (!value)
      throw new UsageError(`--secret ${name} needs its value in the variable ${name}, which is not set`);
    return [name, { value, hosts }];
  });
  return { secrets: Object.fromEntries(secrets) };
}

/** Prints on stderr why the command failed, if the box knows: it ran out of memory, or cannot run such a program. */
async function explain(execution: Execution): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), EXPLAIN_MS);
  });
  try {
    const info = await Promise.race([execution.info(), late]);
    if (info?.errorMessage) await print(process.stderr, `boxrun: ${printable(info.errorMessage)}\n`);
  } catch {
    // The exit code is known, even if this query fails.
  } finally {
    clearTimeout(timer);
  }
}

/** Feeds this process's stdin to the command, at its pace. Returns a function that stops it. */
function passInput({ stdin }: Execution): () => void {
  if (!stdin) return () => {};
  const writer = stdin.getWriter();
  const input = process.stdin;
  const feed = async () => {
    for await (const chunk of input) await writer.write(chunk as Uint8Array);
    await writer.close();
  };
  feed().catch(() => {});
  // A terminal or pipe that nobody closes would otherwise keep this process alive after the command has ended.
  return () => input.destroy();
}

/** Resolves to the exit code of the command, or to null when it was ended from outside. An output that fails ends the loop, which cancels the command. */
async function passOutput(execution: Execution): Promise<number | null> {
  for await (const event of execution) {
    if (event.type === "exit") return event.exitCode;
    await print(event.stream === "stdout" ? process.stdout : process.stderr, event.bytes);
  }
  return null;
}
