/** The error of a failed write to an output of this process, and its reason. */
export class OutputError extends Error {
  readonly code: string | undefined;

  constructor(cause: NodeJS.ErrnoException) {
    super(`cannot write the output: ${cause.message}`, { cause });
    this.code = cause.code;
  }
}

// `print` learns about a failed write from the write itself. Without a listener, the event would end this process with a stack.
for (const output of [process.stdout, process.stderr]) output.on("error", () => {});

/** Resolves when the text has left this process, so that callers can keep the reader's pace. @throws {OutputError} when it cannot be written */
export function print(output: NodeJS.WritableStream, text: Uint8Array | string): Promise<void> {
  return new Promise((resolve, reject) => {
    // Called in every case: after the write, and when the output fails or closes first.
    output.write(text, (error) => (error ? reject(new OutputError(error)) : resolve()));
  });
}

/** Makes text of a server or a box safe to print: a terminal would obey its control characters. */
export function printable(text: string): string {
  return text.replace(/(?![\t\n])[\p{Cc}\p{Bidi_Control}]/gu, "\ufffd");
}

/** Returns a size as people read it: "3.4". */
export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
