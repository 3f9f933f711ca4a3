import { once } from "node:events";
import { BoxRunClient, type Execution } from "../index.js";
import type { RunCommand } from "./command-line.js";

/** 128 + SIGINT, as a shell reports a command that Ctrl-C ended. */
const EXIT_INTERRUPTED = 130;
/** As `timeout` of the coreutils reports it. */
const EXIT_TIMED_OUT = 124;

/** Runs one command in a new box, wired to this process. Resolves to the exit code. */
export async function runCommand({ image, cmd, box: options, timeoutMs }: RunCommand): Promise<number> {
  const interrupt = new AbortController();
  const onInterrupt = () => {
    // The second time the user means it.
    if (interrupt.signal.aborted) process.exit(EXIT_INTERRUPTED);
    interrupt.abort(new Error("interrupted"));
  };
  process.on("SIGINT", onInterrupt);
  process.on("SIGTERM", onInterrupt);
  try {
    await using client = new BoxRunClient();
    await using box = await client.create(image, { ...options, signal: interrupt.signal });
    const execution = await box.execStream(cmd, {
      stdin: true,
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    const onAbort = () => execution.cancel().catch(() => {});
    interrupt.signal.addEventListener("abort", onAbort, { once: true });
    if (interrupt.signal.aborted) onAbort();
    const stopInput = passInput(execution);
    try {
      return await passOutput(execution, timeoutMs);
    } finally {
      stopInput();
    }
  } catch (error) {
    if (interrupt.signal.aborted) return EXIT_INTERRUPTED;
    throw error;
  } finally {
    process.off("SIGINT", onInterrupt);
    process.off("SIGTERM", onInterrupt);
  }
}

/** Feeds our stdin to the command, at its pace. Returns what stops it. */
function passInput({ stdin }: { stdin: WritableStream<Uint8Array | string> }): () => void {
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

async function passOutput(execution: Execution, timeoutMs: number | undefined): Promise<number> {
  let readerLeft = false;
  const onPipeError = () => {
    readerLeft = true;
    execution.cancel().catch(() => {});
  };
  process.stdout.on("error", onPipeError);
  for await (const event of execution) {
    if (event.type === "log") {
      const output = event.stream === "stdout" ? process.stdout : process.stderr;
      if (!readerLeft && !output.write(event.bytes))
        await Promise.race([once(output, "drain"), once(output, "close")]);
      continue;
    }
    if (event.exitCode !== null) return event.exitCode;
  }
  const { status } = await execution.info();
  if (status !== "timeout") return EXIT_INTERRUPTED;
  process.stderr.write(`boxrun: timed out after ${timeoutMs} ms\n`);
  return EXIT_TIMED_OUT;
}
