import { toBase64 } from "../util/base64.js";
import type { BackendEvent, OutputStream } from "./types.js";

/** How a reader wants its events. */
export interface EventEncoding {
  /** True: an event whose bytes are not UTF-8 carries them in base64, too, and none is held back. */
  bytes: boolean;
  /** Only events after this seq are written; those before it are still given to {@link EventEncoder.encode}. */
  after: number;
}

/**
 * Writes the events of one execution as server-sent events.
 *
 * Without `bytes`, a character that is cut at a chunk's edge comes whole, with the next chunk of its stream. So what is written depends on all events from
 * the first on: the same ones give the same text under the same seq, every time.
 */
export class EventEncoder {
  private readonly decoders = { stdout: streamDecoder(), stderr: streamDecoder() };

  constructor(private readonly encoding: EventEncoding) {}

  /** Empty when there is nothing to write for this event. */
  encode(event: BackendEvent): string {
    const { bytes, after } = this.encoding;
    if (event.type === "log") {
      const text = bytes ? eventData(event.bytes) : this.decode(event.stream, event.bytes);
      return event.seq > after && text !== null ? log(event.stream, event.seq, text) : "";
    }
    let { seq } = event;
    let written = "";
    // What was held back is at most one incomplete character a stream; it takes the seq of the exit, which moves on.
    for (const stream of bytes ? [] : (["stdout", "stderr"] as const)) {
      const data = this.decoders[stream].decode();
      if (data === "") continue;
      if (seq > after) written += log(stream, seq, { data });
      seq++;
    }
    if (seq <= after) return written;
    const exit = { stream: null, data: JSON.stringify({ exit_code: event.exitCode }), seq };
    return `${written}event: exit\nid: ${seq}\ndata: ${JSON.stringify(exit)}\n\n`;
  }

  private decode(stream: OutputStream, bytes: Uint8Array): { data: string } | null {
    const data = this.decoders[stream].decode(bytes, { stream: true });
    return data === "" ? null : { data };
  }
}

/** A line that readers ignore, and that keeps proxies from closing a silent stream. */
export const KEEP_ALIVE = ": keep-alive\n\n";

function log(stream: OutputStream, seq: number, text: object): string {
  return `event: log\nid: ${seq}\ndata: ${JSON.stringify({ stream, ...text, seq })}\n\n`;
}

function eventData(bytes: Uint8Array): { data: string; b64?: string } {
  try {
    return { data: strictDecoder.decode(bytes) };
  } catch {
    return { data: lossyDecoder.decode(bytes), b64: toBase64(bytes) };
  }
}

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossyDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
const streamDecoder = () => new TextDecoder("utf-8", { ignoreBOM: true });
