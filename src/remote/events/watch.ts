import type { FileChange } from "../../backend/backend.js";
import { BoxRunError, isBoxRunError } from "../../backend/errors.js";
import { writeName } from "../../contract/names.js";
import type { RouteParams } from "../../contract/routes.js";
import { SseDecoder, type SseEvent } from "../../contract/sse-decode.js";
import { changeSchema } from "../../contract/wire-watch.js";
import { whenAborted } from "../../util/abort.js";
import { pause } from "../../util/timer.js";
import type { BodyReader } from "../http/body-reader.js";
import { DEFAULT_RETRIES, lineOf } from "../http/call.js";
import { errorOfText, protocolError, read } from "../http/failures.js";
import { type Http, isDropped } from "../http/http.js";
import { MAX_FAILURES, STABLE_MS } from "./reconnecting.js";

/** A watch on a server. */
interface Watched {
  http: Http;
  params: RouteParams;
  path: Uint8Array;
  recursive: boolean;
  signal?: AbortSignal;
}

/** Watches files on a server of this project. A connection that breaks off is made anew, with "overflow" for what was missed meanwhile. */
export async function watchFiles(watched: Watched): Promise<AsyncIterable<FileChange>> {
  const body = await open(watched);
  // Before its first change is asked for, nothing else would.
  whenAborted(watched.signal, () => void body.cancel());
  return changesOf(watched, body);
}

async function open({ http, params, path, recursive, signal }: Watched): Promise<BodyReader> {
  const { response, body } = await http.open("watchFiles", {
    params,
    json: { ...writeName("path", path), recursive },
    retries: DEFAULT_RETRIES,
    ...(signal && { signal }),
  });
  if (response.headers.get("content-type")?.startsWith("text/event-stream")) return body;
  void body.cancel();
  throw protocolError("watch: the server's answer is not an event stream");
}

async function* changesOf(watched: Watched, first: BodyReader): AsyncGenerator<FileChange, void, undefined> {
  const { http, path, signal } = watched;
  let body: BodyReader | undefined = first;
  for (let failures = 0; ; failures++) {
    let opened = Date.now();
    try {
      body ??= await open(watched);
      opened = Date.now();
      if (failures > 0) yield { type: "overflow", path };
      for await (const event of eventsOf(body)) {
        const change = changeOf(event, watched);
        if (change === "end") return;
        if (change) {
          failures = 0;
          yield change;
        }
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (!isDropped(error) || failures >= MAX_FAILURES) throw error;
    }
    if (failures >= MAX_FAILURES)
      throw new BoxRunError("STREAM_INTERRUPTED", "watch: its stream kept breaking off", { retryable: true });
    body = undefined;
    if (Date.now() - opened >= STABLE_MS) failures = 0;
    await pause(http.backoffMs(failures + 1), signal);
  }
}

/** Yields the events of one connection. */
async function* eventsOf(body: BodyReader): AsyncGenerator<SseEvent, void, undefined> {
  const decoder = new SseDecoder();
  try {
    for (;;) {
      const bytes = await body.read();
      yield* bytes ? decoder.push(bytes) : decoder.end();
      if (!bytes) return;
    }
  } catch (error) {
    throw isBoxRunError(error) ? error : protocolError(`watch: ${(error as Error).message}`);
  } finally {
    void body.cancel();
  }
}

/** Returns the change that an event reports; undefined for an event of a newer server. @throws the error with which the watch has ended */
function changeOf({ event, data }: SseEvent, { params }: Watched): FileChange | "end" | undefined {
  if (event === "end") return event;
  const line = lineOf("watchFiles", { params, retries: DEFAULT_RETRIES });
  if (event === "error")
    throw errorOfText(line, data) ?? protocolError("watch: the server's error makes no sense", line);
  const schema = changeSchema(event);
  return schema && read(schema, data, `watch, event ${event}`, line);
}
