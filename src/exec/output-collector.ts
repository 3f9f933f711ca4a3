import type { OutputStream } from "../backend/backend.js";
import { concatBytes } from "../util/bytes.js";
import type { Execution } from "./execution.js";

/** Collects the outputs of a command, each up to a limit. */
export class OutputCollector {
  private readonly chunks: Record<OutputStream, Uint8Array[]> = { stdout: [], stderr: [] };
  private readonly kept: Record<OutputStream, number> = { stdout: 0, stderr: 0 };
  private truncated = false;
  /** Null until it has ended, and where it has none. */
  exitCode: number | null = null;

  constructor(
    private readonly maxBytes: number,
    private readonly callbacks: Record<OutputStream, ((data: string) => void) | undefined>,
  ) {}

  async read(execution: Execution): Promise<void> {
    for await (const event of execution) {
      if (event.type === "exit") {
        this.exitCode = event.exitCode;
        break;
      }
      const { stream, bytes } = event;
      const room = Math.max(0, this.maxBytes - this.kept[stream]);
      if (bytes.byteLength > room) this.truncated = true;
      if (room > 0 && bytes.byteLength > 0) {
        const part = bytes.subarray(0, room);
        this.chunks[stream].push(part);
        this.kept[stream] += part.byteLength;
      }
      if (event.data !== "") this.callbacks[stream]?.(event.data);
    }
  }

  outputs() {
    const stdoutBytes = concatBytes(this.chunks.stdout);
    const stderrBytes = concatBytes(this.chunks.stderr);
    const decode = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    return {
      stdout: decode(stdoutBytes),
      stderr: decode(stderrBytes),
      stdoutBytes,
      stderrBytes,
      truncated: this.truncated,
    };
  }
}
