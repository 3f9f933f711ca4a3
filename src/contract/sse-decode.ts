/** Decoding of `GET .../events`: bytes into server-sent events, and those into the events of the API. */
import { createParser } from "eventsource-parser";
import * as z from "zod/mini";
import { fromBase64 } from "../util/base64.js";
import { json } from "./json.js";
import { optional, wholeNumber } from "./schemas.js";
import type { BackendEvent } from "./types.js";
import { exitCode } from "./wire.js";

/** A server-sent event, as the HTML Standard defines it. */
export interface SseEvent {
  /** Name of the event; "message" when the stream gives none. */
  event: string;
  /** Data of the event: its "data" lines, joined by line feeds. */
  data: string;
}

/** Limit far above the size of any event that a server sends, so that a stream without line ends cannot fill the memory. */
const MAX_EVENT_CHARS = 64 * 2 ** 20;

/**
 * Decodes a stream of server-sent events from chunks that may end anywhere: within a line, a line end or a character.
 *
 * @example
 * const decoder = new SseDecoder();
 * for await (const bytes of body) for (const { event, data } of decoder.push(bytes)) console.log(event, data);
 * for (const { event, data } of decoder.end()) console.log(event, data);
 */
export class SseDecoder {
  // Also removes a byte order mark, which the parser does not.
  private readonly decoder = new TextDecoder();
  private ready: SseEvent[] = [];
  /** Characters since the last event, comments included. */
  private pending = 0;
  private endsInCr = false;
  private readonly parser = createParser({
    onEvent: ({ event, data }) => this.ready.push({ event: event ?? "message", data }),
  });

  /**
   * Adds bytes, and returns the events that they complete.
   *
   * @throws {RangeError} when an event is larger than 64 Mi characters
   */
  push(bytes: Uint8Array): SseEvent[] {
    return this.feed(this.decoder.decode(bytes, { stream: true }));
  }

  /** Ends the stream, and returns the events that its end completes. An event without the empty line after it was cut off, and is dropped. */
  end(): SseEvent[] {
    return this.feed(this.decoder.decode());
  }

  private feed(text: string): SseEvent[] {
    if (text === "") return [];
    this.parser.feed(this.withLineFeeds(text));
    this.pending = this.ready.length > 0 ? 0 : this.pending + text.length;
    if (this.pending > MAX_EVENT_CHARS) throw new RangeError("an event is larger than 64 MiB");
    return this.ready.splice(0);
  }

  /** A line may end in CR, LF or both. The parser takes LF in one pass; to each CR it would look for the next LF, through all that is there. */
  private withLineFeeds(text: string): string {
    const rest = this.endsInCr && text.startsWith("\n") ? text.slice(1) : text;
    this.endsInCr = text.endsWith("\r");
    return rest.includes("\r") ? rest.replace(/\r\n?/g, "\n") : rest;
  }
}

/** An event of an execution, as a server sends it. */
export type ServerEvent =
  | Extract<BackendEvent, { type: "log" }>
  | (Extract<BackendEvent, { type: "exit" }> & {
      /** Reason why there is no exit code, or no better one; else null. */
      error: string | null;
    });

/** Reads the data of a "log" event. Null for a stream with another name than the two. */
const logEvent = z.pipe(
  z.pipe(
    json,
    z.object({
      stream: z.nullable(z.string()),
      data: z.string(),
      seq: wholeNumber,
      b64: z.optional(z.string()),
    }),
  ),
  z.transform(({ stream, data, seq, b64 }, context): ServerEvent | null => {
    if (stream !== "stdout" && stream !== "stderr") return null;
    try {
      return {
        type: "log",
        stream,
        bytes: b64 === undefined ? new TextEncoder().encode(data) : fromBase64(b64),
        seq,
      };
    } catch {
      context.issues.push({ code: "custom", path: ["b64"], message: "must be base64", input: b64 });
      return z.NEVER;
    }
  }),
);

const exitData = z.pipe(json, z.object({ exit_code: optional(exitCode), error: optional(z.string()) }));

/** Reads the data of an "exit" event, which has JSON in a string in its own field "data". */
const exitEvent = z.pipe(
  z.pipe(json, z.object({ data: exitData, seq: wholeNumber })),
  z.transform(({ data, seq }): ServerEvent | null => ({
    type: "exit",
    exitCode: data.exit_code,
    error: data.error,
    seq,
  })),
);

/** Returns the schema of an event's data by the name of the event; undefined for other names, which newer servers may send. */
export function eventSchema(event: string): z.ZodMiniType<ServerEvent | null> | undefined {
  if (event === "log") return logEvent;
  return event === "exit" ? exitEvent : undefined;
}
