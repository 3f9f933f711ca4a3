import type { UploadSpec } from "../../backend/backend.js";
import { BoxRunError } from "../../backend/errors.js";
import { wireDone } from "../../contract/wire.js";
import { following } from "../../util/abort.js";
import { canStreamRequests } from "../../util/runtime.js";
import type { Http } from "../http/http.js";
import { UploadSource } from "./upload-source.js";

/**
 * Sends one file as the multipart body of `POST .../files/upload`: as a stream, never whole in memory, if fetch can do that; in browsers as a Blob,
 * which they may keep on disk.
 */
export async function upload(
  http: Http,
  box: string,
  path: string,
  file: ReadableStream<Uint8Array>,
  { mode, newMode, signal }: UploadSpec,
): Promise<void> {
  const { head, tail, contentType } = multipart({
    dest: path,
    ...(mode !== undefined && { mode: mode.toString(8) }),
    ...(newMode !== undefined && { new_mode: newMode.toString(8) }),
  });
  const { silenceMs } = http.clocks;
  await fromSource(file, signal, async (source, life) => {
    const streamed = canStreamRequests();
    const content = streamed
      ? source.stream(head, tail, silenceMs, () => life.abort(silent(silenceMs)))
      : await source.blob(head, tail);
    await http.json("upload", wireDone, {
      params: { box },
      body: { content, contentType },
      signal: life.signal,
      // Sending a Blob reports no progress.
      withinMs: streamed ? Number.POSITIVE_INFINITY : http.clocks.lifecycleMs,
    });
  });
}

/** Sends the contents of a source. The caller gets the source's own error, or the signal's reason, whatever became of the request. */
export async function fromSource(
  file: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
  send: (source: UploadSource, life: AbortController) => Promise<void>,
): Promise<void> {
  const { life, end } = following(signal);
  const source = new UploadSource(file, life.signal);
  try {
    await send(source, life);
  } catch (error) {
    throw source.failure ?? error;
  } finally {
    end();
    await source.release();
  }
}

/** Creates the two ends of a multipart body whose last part is a file. */
export function multipart(fields: Record<string, string>): {
  head: Uint8Array;
  tail: Uint8Array;
  contentType: string;
} {
  const random = crypto.getRandomValues(new Uint32Array(4));
  const boundary = `boxrun-${Array.from(random, (word) => word.toString(36)).join("")}`;
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const file =
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="file"\r\n` +
    "content-type: application/octet-stream\r\n\r\n";
  const encoder = new TextEncoder();
  return {
    head: encoder.encode(parts.join("") + file),
    tail: encoder.encode(`\r\n--${boundary}--\r\n`),
    contentType: `multipart/form-data; boundary=${boundary}`,
  };
}

function silent(silenceMs: number): BoxRunError {
  return new BoxRunError("STREAM_INTERRUPTED", `the server accepted no upload data for ${silenceMs} ms`, {
    retryable: true,
  });
}
