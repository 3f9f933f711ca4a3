import { toBase64 } from "../util/base64.js";
import type { BackendEvent, OutputStream } from "./types.js";

/** Options of an {@link EventEncoder}. */
export interface EventEncoding {
  /** True: events with bytes that are not UTF-8 have them in base64, too, and no character is held back. */
  bytes: boolean;
  /** Position after which events are written. Those up to it must still be passed to {@link EventEncoder.encode}. */
  after: number;
}

/**
 * Writes the events of one execution as server-sent events.
 *
 * Without `bytes`, a character that is split over two chunks is written with the second. The text thus depends on all events from the first on, and the same
 * events always give the same text under the same positions.
 */
export class EventEncoder {
  private readonly decoders = { stdout: streamDecoder(), stderr: streamDecoder() };

  /** Creates an encoder for one reader of one execution. */
  constructor(private readonly encoding: EventEncoding) {}

  /** Returns the text to write for an event; empty when there is none. */
  encode(event: BackendEvent): string {
    const { bytes, after } = this.encoding;
    if (event.type === "log") {
      const text = bytes ? eventData(event.bytes) : this.decode(event.stream, event.bytes);
      return event.seq > after && text !== null ? log(event.stream, event.seq, text) : "";
    }
    let { seq } = event;
    let written = "";
    // At most one incomplete character per stream is held back. It takes the seq of the exit, which moves up.
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

/** Comment that readers ignore. It keeps proxies from closing a silent stream. */
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
