/** What an output of this process could not take, and why. */
export class OutputError extends Error {
  readonly code: string | undefined;

  constructor(cause: NodeJS.ErrnoException) {
    super(`cannot write its output: ${cause.message}`, { cause });
    this.code = cause.code;
  }
}

// `print` learns of a failed write from the write itself; without a listener the event would end this process with a stack.
for (const output of [process.stdout, process.stderr]) output.on("error", () => {});

/** Resolves when the text has left this process: who awaits that goes at the reader's pace. Rejects with {@link OutputError}. */
export function print(output: NodeJS.WritableStream, text: Uint8Array | string): Promise<void> {
  return new Promise((resolve, reject) => {
    // Called in every case: when it is written, and when the output fails or closes before.
    output.write(text, (error) => (error ? reject(new OutputError(error)) : resolve()));
  });
}

/** Text of a server or a box, as it may be shown: in a terminal, control characters are commands to it. */
export function printable(text: string): string {
  return text.replace(/(?![\t\n])[\p{Cc}\p{Bidi_Control}]/gu, "\ufffd");
}
