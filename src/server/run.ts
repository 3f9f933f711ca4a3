import type { Backend, BoxSpec, ExecSpec, LaunchOptions, OutputStream } from "../backend/backend.js";

/** Number of bytes of each output that an answer carries. The rest is read and dropped. */
const MAX_OUTPUT_BYTES = 16 * 2 ** 20;

/** Runs one command in a box of its own, which is removed afterwards in any case. If output was dropped, the error message says so, beside the exit code. */
export async function runOnce(
  backend: Backend,
  box: BoxSpec,
  exec: ExecSpec,
  launch: LaunchOptions & { signal: AbortSignal },
): Promise<{ exitCode: number | null; stdout: string; stderr: string; errorMessage: string | null }> {
  const { signal } = launch;
  const { id } = await backend.createBox(box, launch);
  try {
    const { id: execId } = await backend.startExec(id, exec);
    const decoder = () => new TextDecoder("utf-8", { ignoreBOM: true });
    const decoders = { stdout: decoder(), stderr: decoder() };
    const text: Record<OutputStream, string> = { stdout: "", stderr: "" };
    const room: Record<OutputStream, number> = { stdout: MAX_OUTPUT_BYTES, stderr: MAX_OUTPUT_BYTES };
    const cut = new Set<OutputStream>();
    for await (const event of backend.execEvents(id, execId, { after: 0, signal })) {
      if (event.type !== "log") continue;
      const part = event.bytes.subarray(0, room[event.stream]);
      room[event.stream] -= part.byteLength;
      if (part.byteLength < event.bytes.byteLength) cut.add(event.stream);
      text[event.stream] += decoders[event.stream].decode(part, { stream: true });
    }
    const { exitCode, errorMessage } = await backend.getExec(id, execId);
    return {
      exitCode,
      stdout: text.stdout + decoders.stdout.decode(),
      stderr: text.stderr + decoders.stderr.decode(),
      errorMessage: [errorMessage, ...[...cut].map(cutMessage)].filter(Boolean).join("; ") || null,
    };
  } finally {
    const remove = () => backend.removeBox(id, { force: true });
    const removed = remove()
      .catch(remove)
      .catch(() => {});
    if (!signal.aborted) await removed;
  }
}

function cutMessage(stream: OutputStream): string {
  return `${stream} was truncated to its first ${MAX_OUTPUT_BYTES} bytes`;
}
